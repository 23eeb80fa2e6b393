"""Pretraining of fusion encoders: recipes learn, teachers follow, runs go on, bad settings are told."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from small_towers import small_data, small_trainer

import small_fusion
from small_bert import save_tower
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.tasks.fusion.task import FusionTask
from vlcore.types import PairBatch, VisualTokens

RECIPES = {
    "albef": {
        "architecture": "cross_stream",
        "objectives": {"contrastive": 1.0, "matching": 1.0, "masked_language": 1.0},
        "momentum": 0.9,
        "queue_size": 8,
        "distillation": 0.4,
    },
    "uniter": {
        "architecture": "single_stream",
        "objectives": {
            "matching": 2.0,
            "masked_language": 2.0,
            "masked_region_features": 1.0,
            "masked_region_distribution": 1.0,
            "word_region_alignment": 0.1,
        },
        "combine": "sample",
        "patch_clusters": 4,
    },
    "interbert": {
        "architecture": "split_stream",
        "objectives": {"matching": 1.0, "masked_language": 1.0, "masked_region_classes": 1.0},
        "text_masking": "span",
        "region_masking": "overlapping",
        "patch_clusters": 4,
    },
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_tower(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture
def make_task(bert, monkeypatch):
    small_fusion.register(monkeypatch)

    def make(**options):
        torch.manual_seed(0)
        settings = {
            "image_encoder": "small/patches",
            "text_encoder": f"transformers/{bert}",
            "size": "tiny",
            "dropout": 0.0,
            "embedding_size": 8,
            "learning_rate": 3e-3,
            "schedule": "constant",
            "warmup": 0,
        }
        return FusionTask(**{**settings, **options})

    return make


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        self.seen.append(float(outputs["loss"]))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_to_rank_its_own_pairs_first(name, make_task, tiny_manifest, tmp_path):
    # Comparing two sides is what a small model learns last; the other terms must not keep it busy for long.
    objectives = {**RECIPES[name]["objectives"], "matching": 10.0}
    task = make_task(**{**RECIPES[name], "objectives": objectives, "combine": "sum", "learning_rate": 5e-3})
    data = small_data(tiny_manifest, val_split="train", batch_size=16)
    trainer = small_trainer(tmp_path, max_epochs=120, check_val_every_n_epoch=120, gradient_clip_val=1.0)
    trainer.fit(task, datamodule=data)
    # Six colours, several squares of each: of one colour every square is a match as good as another.
    assert trainer.callback_metrics["val/mean_recall"] > 70


@pytest.mark.parametrize("name", RECIPES)
def test_every_term_is_logged_and_all_that_learns_gets_a_gradient(name, make_task, tiny_manifest, tmp_path):
    task = make_task(**{**RECIPES[name], "combine": "sum"})
    before = copy.deepcopy(task.model.state_dict())
    trainer = small_trainer(tmp_path, max_epochs=1)
    trainer.fit(task, datamodule=small_data(tiny_manifest))
    assert {f"train/{term}" for term in RECIPES[name]["objectives"]} <= trainer.callback_metrics.keys()
    learning = {key for key, value in task.model.named_parameters() if value.requires_grad}
    moved = {key for key, value in task.model.state_dict().items() if not torch.equal(value, before[key])}
    still = learning - moved
    # Word and position embeddings that no text has stay; of other tensors all move.
    assert not still, still
    assert all(key in learning or "image_encoder" not in key for key in moved)


def test_steps_draw_terms_in_proportion_and_alignment_comes_with_matching(make_task, tiny_manifest, tmp_path):
    task = make_task(**RECIPES["uniter"])
    drawn = []
    original = task._chosen
    task._chosen = lambda: drawn.append(original()) or drawn[-1]
    small_trainer(tmp_path, max_epochs=150, limit_val_batches=0).fit(
        task, datamodule=small_data(tiny_manifest, batch_size=8)
    )
    with_alignment = [terms for terms in drawn if "word_region_alignment" in terms]
    assert all(set(terms) == {"matching", "word_region_alignment"} for terms in with_alignment)
    shares = {name: sum(name in terms for terms in drawn) / len(drawn) for name in RECIPES["uniter"]["objectives"]}
    assert shares["matching"] == pytest.approx(1 / 3, abs=0.08)
    assert shares["masked_language"] == pytest.approx(1 / 3, abs=0.08)
    assert shares["masked_region_features"] == pytest.approx(1 / 6, abs=0.07)


def test_the_teacher_follows_the_network_and_its_queue_fills(make_task, tiny_manifest, tmp_path):
    task = make_task(**RECIPES["albef"])
    start = copy.deepcopy(task.model.network.state_dict())
    small_trainer(tmp_path, max_epochs=1, limit_val_batches=0).fit(task, datamodule=small_data(tiny_manifest))
    assert task.queue.filled.all()
    key = "matching.weight"
    steps = task.trainer.global_step
    assert steps == 2
    now, teacher = task.model.network.state_dict()[key], task.momentum.model.state_dict()[key]
    assert not torch.equal(teacher, now) and not torch.equal(teacher, start[key])
    assert (teacher - start[key]).abs().max() < (now - start[key]).abs().max()


def test_the_weight_of_the_teachers_opinion_grows_over_the_first_epoch(make_task, tiny_manifest, tmp_path):
    task, seen = make_task(**RECIPES["albef"]), []

    class Look(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(pl_module._alpha())

    data = small_data(tiny_manifest, batch_size=4)
    small_trainer(tmp_path, callbacks=[Look()], limit_val_batches=0).fit(task, datamodule=data)
    assert seen == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])


def test_an_interrupted_run_goes_on_to_the_bit(make_task, tiny_manifest, tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    def fit(folder, **options):
        task = make_task(**RECIPES["albef"], dropout=0.1)
        checkpoints = ModelCheckpoint(folder, every_n_train_steps=3, save_top_k=-1)
        path = options.pop("ckpt_path", None)
        trainer = small_trainer(folder, callbacks=[checkpoints], enable_checkpointing=True, max_epochs=2, **options)
        trainer.fit(task, datamodule=small_data(tiny_manifest, batch_size=4), ckpt_path=path)
        return task

    whole = fit(tmp_path / "whole")
    fit(tmp_path / "part", max_steps=3)
    (checkpoint,) = (tmp_path / "part").glob("*.ckpt")
    again = fit(tmp_path / "rest", ckpt_path=checkpoint)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_trained_model_is_saved_and_comes_back(make_task, tmp_path):
    task = make_task(**RECIPES["albef"])
    save_model_directory(tmp_path / "model", task.model, ModelCard("small"))
    loaded = load_model_directory(tmp_path / "model").model.eval()
    model = task.model.eval()
    tokens = model.tokenizer(["a red square", "blue"])
    batch = PairBatch(
        torch.arange(2),
        torch.arange(2),
        images=torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8),
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
    )
    with torch.no_grad():
        assert torch.equal(loaded(batch), model(batch))
    import vlcore

    with pytest.raises(ConfigurationError, match=r"holds a fusion model.*--rerank"):
        vlcore.load(tmp_path / "model")


def regions(count, width=5, classes=4):
    features, boxes = torch.randn(count, 3, width), torch.tensor([0.1, 0.2, 0.5, 0.6]).expand(count, 3, 4)
    return VisualTokens(
        features, torch.ones(count, 3, dtype=torch.bool), boxes, torch.rand(count, 3, classes).softmax(-1)
    )


def test_precomputed_regions_stand_in_for_a_tower(make_task):
    task = make_task(
        **{**RECIPES["uniter"], "patch_clusters": None}, image_encoder=None, region_width=5, region_classes=3
    )
    tokens = task.model.tokenizer(["a red square", "blue"])
    batch = PairBatch(
        torch.arange(2),
        torch.arange(2),
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        regions=regions(2),
    )
    assert task.model(batch).shape == (2, 2)
    assert torch.equal(batch.to("cpu").regions.boxes, batch.regions.boxes)
    with pytest.raises(ConfigurationError, match="The regions have 9 numbers each; the model reads 5"):
        batch.regions = regions(2, width=9)
        task.model(batch)
    with pytest.raises(ConfigurationError, match="the batch has none: name their files in the manifest"):
        batch.regions = None
        task.model(batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": {"masked_language": 1.0}}, "do not say which image belongs to which text"),
        ({"objectives": {"matching": 0.0}}, "matching has the weight 0.0"),
        ({"objectives": {"matchin": 1.0}}, "there is no 'matchin'; there are contrastive"),
        ({"objectives": {"contrastive": 1.0, "word_region_alignment": 0.1}}, "add matching"),
        ({"objectives": {"matching": 1.0, "masked_region_classes": 1.0}}, "guesses classes: say how many"),
        ({"queue_size": 8}, "are the momentum model's: set momentum"),
        ({"distillation": 0.4}, "are the momentum model's: set momentum"),
        ({"momentum": 1.0}, "momentum=1.0: choose 0 to below 1"),
        ({"momentum": 0.9, "distillation": 1.5}, "distillation=1.5"),
        ({"momentum": 0.9, "queue_size": 4, "objectives": {"matching": 1.0}}, "only the objective contrastive reads"),
        ({"image_encoder": None}, "give one of them, an image tower"),
        ({"region_width": 5}, "give one of them, an image tower"),
        ({"region_classes": 5, "patch_clusters": 4}, "give one"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message, make_task):
    with pytest.raises(ConfigurationError, match=message):
        make_task(**options)


def test_a_batch_of_one_sentence_has_a_loss(make_task, tiny_manifest, tmp_path):
    text = tiny_manifest.read_text().splitlines()
    import json

    rows = [{**json.loads(line), "texts": ["a red square"]} for line in text]
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    losses = Losses()
    task = make_task(**RECIPES["albef"])
    small_trainer(tmp_path, callbacks=[losses], max_epochs=1).fit(task, datamodule=small_data(tiny_manifest))
    assert losses.seen and all(torch.isfinite(torch.tensor(losses.seen)))


def test_a_step_with_nan_is_kept_with_its_regions_and_says_that_it_is_not_replayed(make_task, tmp_path):
    from lightning.pytorch import Trainer
    from torch.utils.data import DataLoader

    from vlcore.errors import CheckpointError, NonFiniteGradientsError
    from vlcore.tasks.replay import replay
    from vlcore.tasks.step_capture import read_capture

    options = {"image_encoder": None, "region_width": 5, "objectives": {"matching": 1.0}}
    task = make_task(architecture="single_stream", **options)
    tokens = task.model.tokenizer(["a red square", "blue"])
    seen = regions(2)
    seen.features[1] = float("nan")
    batch = PairBatch(
        torch.arange(2),
        torch.arange(2),
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        regions=seen,
    )
    trainer = Trainer(
        accelerator="cpu",
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    with pytest.raises(NonFiniteGradientsError):
        trainer.fit(task, DataLoader([batch], batch_size=None))
    folder = tmp_path / "captures" / "step_00000000"
    capture = read_capture(folder)
    assert capture.task == "FusionTask"
    kept = capture.batches[0].pairs.regions
    assert torch.equal(kept.boxes, seen.boxes) and kept.features[1].isnan().all()
    with pytest.raises(CheckpointError, match="a step of FusionTask; only those of AlignmentTask"):
        replay(folder)


def test_retrieval_is_fine_tuned_from_a_model_directory(make_task, tiny_manifest, tmp_path):
    first = make_task(**RECIPES["albef"])
    save_model_directory(tmp_path / "model", first.model, ModelCard("pretrained"))
    options = {"objectives": {"contrastive": 1.0, "matching": 1.0}, "start_from": str(tmp_path / "model")}
    task = FusionTask(**options, learning_rate=1e-3)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, task.model.state_dict()[name]), name
    small_trainer(tmp_path, max_epochs=1).fit(task, datamodule=small_data(tiny_manifest))
    before, after = first.model.network.matching.weight, task.model.network.matching.weight
    assert not torch.equal(before, after)
    # Frozen again, and the head of words, which nothing trains now, as it was.
    assert task.model.image_encoder.frozen
    assert torch.equal(first.model.network.masked_language.bias, task.model.network.masked_language.bias)
    save_model_directory(tmp_path / "matching", make_task(objectives={"matching": 1.0}).model, ModelCard("matching"))
    with pytest.raises(ConfigurationError, match="trained without contrastive"):
        FusionTask(objectives={"contrastive": 1.0}, start_from=str(tmp_path / "matching"))
    with pytest.raises(ConfigurationError, match="guesses None classes of regions, and 4 are asked for"):
        FusionTask(
            objectives={"matching": 1.0, "masked_region_classes": 1.0},
            patch_clusters=4,
            start_from=str(tmp_path / "matching"),
        )


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed training")
def test_two_processes_take_the_steps_of_one(bert, tmp_path, run_program):
    states = []
    for processes in (1, 2):
        target = tmp_path / f"{processes}.pt"
        run_program(Path(__file__).with_name("two_process_fusion.py"), processes, bert, target)
        states.append(torch.load(target, weights_only=True))
    alone, together = states
    assert torch.equal(alone.pop("queued"), together.pop("queued"))
    for name, value in alone.items():
        if not name.startswith("queue."):  # each process puts its own pairs first
            assert torch.allclose(value, together[name], rtol=1e-4, atol=1e-6), name
