import math

import numpy as np
import pytest
import small_towers
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from small_towers import SmallImageEncoder, SmallTextEncoder, small_data, small_task, small_trainer
from torch import nn
from torchvision.transforms import v2

from vlcore.errors import ConfigurationError, FingerprintMismatchError, UnknownNameError
from vlcore.models.dual_encoder import DualEncoder
from vlcore.objectives.info_nce import InfoNCE
from vlcore.tasks.alignment import AlignmentTask
from vlcore.types import PairBatch


class Watch(Callback):
    """Losses of epochs, and how often each tower had been called when an epoch began."""

    def __init__(self):
        self.losses, self.calls, self.gradients = [], [], []

    def on_train_epoch_start(self, trainer, pl_module):
        self.calls.append((SmallImageEncoder.calls, SmallTextEncoder.calls))

    def on_train_epoch_end(self, trainer, pl_module):
        self.losses.append(float(trainer.callback_metrics["train/loss"]))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.gradients.append({name for name, p in pl_module.named_parameters() if p.grad is not None})


def fit(task, data, folder, **options):
    watch = Watch()
    trainer = small_trainer(folder, **{"callbacks": [watch], **options})
    trainer.fit(task, datamodule=data)
    return trainer, watch


def weights(task):
    return {name: value.clone() for name, value in task.state_dict().items()}


def test_with_both_towers_frozen_no_epoch_touches_a_tower(tiny_manifest, tmp_path):
    task = small_task()
    before = weights(task)
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, max_epochs=3)
    # Everything, validation included, was encoded before the first epoch.
    assert watch.calls[0][0] > 0 and watch.calls[0][1] > 0
    assert watch.calls[0] == watch.calls[2] == (SmallImageEncoder.calls, SmallTextEncoder.calls)
    after = weights(task)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any("encoder" in name for name in changed)


def test_a_second_run_finds_all_features_on_disk(tiny_manifest, tmp_path):
    fit(small_task(), small_data(tiny_manifest), tmp_path, max_epochs=1)
    seen = SmallImageEncoder.calls, SmallTextEncoder.calls
    fit(small_task(), small_data(tiny_manifest), tmp_path, max_epochs=1)
    # ImageInference compares nothing for a tower without batch norms, so the counts stand still.
    assert (SmallImageEncoder.calls, SmallTextEncoder.calls) == seen


def test_lit_caches_the_image_side_and_trains_the_text_tower(tiny_manifest, tmp_path):
    task = small_task(text_trainable="all")
    before = weights(task)
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, max_epochs=3)
    assert watch.calls[0][0] == SmallImageEncoder.calls
    assert watch.calls[0][1] < watch.calls[1][1] < watch.calls[2][1]
    after = weights(task)
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert {"text_encoder", "image_head", "text_head", "logit_scale"} <= changed
    assert "image_encoder" not in changed


@pytest.mark.parametrize("workers", [0, 1])
def test_both_towers_learn_on_augmented_images(tiny_manifest, tmp_path, workers):
    task = small_task(image_trainable="all", text_trainable="all")
    augment = [v2.RandomHorizontalFlip(), v2.RandomResizedCrop(8, scale=(0.8, 1.0))]
    data = small_data(tiny_manifest, augment=augment, num_workers=workers)
    _, watch = fit(task, data, tmp_path, max_epochs=8 if workers == 0 else 1)
    assert any("image_encoder" in name for name in watch.gradients[0])
    assert workers or watch.losses[-1] < 0.8 * watch.losses[0]
    assert data.report.decoded > 0 and data.report.bad == 0


def test_gradients_reach_only_what_learns(tiny_manifest, tmp_path):
    task = small_task(image_trainable=1, text_trainable=0)
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, max_epochs=1)
    assert watch.gradients[0] == {
        "model.logit_scale",
        *(f"model.{part}.{kind}" for part in ("image_encoder.second",) for kind in ("weight", "bias")),
        *(f"model.{side}_head.projection.{kind}" for side in ("image", "text") for kind in ("weight", "bias")),
    }


def test_a_small_set_is_learned_by_heart(tiny_manifest, tmp_path):
    task = small_task(embedding_size=8, image_head="residual_mlp", dropout=0.0, learning_rate=0.02)
    data = small_data(tiny_manifest, val_split="train", batch_size=16)
    trainer, watch = fit(task, data, tmp_path, max_epochs=40, check_val_every_n_epoch=40)
    assert watch.losses[-1] < 0.5 * watch.losses[0]
    # Two images of a colour and their captions cannot be told apart, so not every first place can be right.
    assert trainer.callback_metrics["val/mean_recall"] > 75


@pytest.mark.parametrize("objective", ["info_nce", "siglip", "mil_nce"])
def test_bfloat16_runs(tiny_manifest, tmp_path, objective):
    task = small_task(objective=objective, image_trainable="all")
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, max_epochs=6, precision="bf16-mixed")
    assert watch.losses[-1] < watch.losses[0]


def test_a_compiled_model_gives_the_same_losses(tiny_manifest, tmp_path, monkeypatch):
    # The back end is not under test, and generating code takes a minute.
    compiled = []
    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: (compiled.append(self), original(self, backend="eager")))
    _, plain = fit(small_task(), small_data(tiny_manifest), tmp_path, limit_val_batches=0)
    task = small_task(compile=True)
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, limit_val_batches=0)
    assert compiled == [task.model]
    assert watch.losses == pytest.approx(plain.losses, rel=1e-5)


def test_accumulation_is_explained_once_and_logged(tiny_manifest, tmp_path):
    with pytest.warns(UserWarning, match="accumulate_grad_batches") as warned:
        trainer, _ = fit(
            small_task(), small_data(tiny_manifest, batch_size=4), tmp_path, max_epochs=3, accumulate_grad_batches=2
        )
    messages = [str(one.message) for one in warned if "accumulate_grad_batches" in str(one.message)]
    assert len(messages) == 1
    assert "does not add negatives" in messages[0] and "batch 2 times as large" in messages[0]
    assert trainer.callback_metrics["train/pairs_per_loss"] == 4


def test_the_temperature_is_held_after_every_step(tiny_manifest, tmp_path):
    task = small_task(learning_rate=5.0, warmup=0)
    seen = []

    class Scale(Callback):
        def on_train_batch_end(self, trainer, pl_module, *rest):
            seen.append(float(pl_module.model.logit_scale))

    with torch.no_grad():
        task.model.logit_scale.fill_(math.log(99.0))
    task.model.image_head.requires_grad_(False)
    monitor = Scale()
    fit(task, small_data(tiny_manifest), tmp_path, max_epochs=10, callbacks=[monitor])
    assert max(seen) <= math.log(100) + 1e-6


def test_captions_that_say_the_same_are_positives():
    task = small_task()
    batch = PairBatch(
        image_index=torch.tensor([0, 0, 1, 2]),
        text_key=torch.tensor([10, 11, 12, 10]),
        image_features=torch.randn(4, 6),
        text_features=torch.randn(4, 5),
    )
    task.log = lambda *args, **options: None
    task._trainer = type("Trainer", (), {"world_size": 1})()
    task._fabric = None
    output = task.model(batch)
    keys = {"image_index": batch.image_index, "text_key": batch.text_key}
    expected = InfoNCE()(output.image, output.text, output.logit_scale, **keys)
    assert torch.equal(task.training_step(batch, 0), expected)
    assert not torch.isclose(expected, InfoNCE()(output.image, output.text, output.logit_scale))


def test_the_logged_recall_is_that_of_all_captions(tiny_manifest, tmp_path):
    task = small_task()
    data = small_data(tiny_manifest, batch_size=3)
    trainer, _ = fit(task, data, tmp_path, max_epochs=1)
    collate = data._parts["val"]
    with torch.no_grad():
        image = task.model.project_images(torch.from_numpy(collate.images[np.arange(len(collate.images))])).numpy()
        text = task.model.project_texts(torch.from_numpy(collate.texts[np.arange(len(collate.texts))])).numpy()
    scores = image @ text.T
    right = collate.table.image_of_text[None, :] == np.arange(len(image))[:, None]
    recalls = []
    for matrix, correct in ((scores, right), (scores.T, right.T)):
        best = np.where(correct, matrix, -np.inf).max(axis=1, keepdims=True)
        rank = 1 + (np.where(correct, -np.inf, matrix) >= best - 1e-9).sum(axis=1)
        recalls += [100 * (rank <= k).mean() for k in (1, 5, 10)]
    assert trainer.callback_metrics["val/mean_recall"] == pytest.approx(np.mean(recalls), abs=1e-4)


def test_every_image_passes_through_its_tower_once_per_evaluation_batch(tiny_manifest, tmp_path, monkeypatch):
    sizes = []
    original = SmallImageEncoder.encode
    monkeypatch.setattr(SmallImageEncoder, "encode", lambda self, x: (sizes.append(len(x)), original(self, x))[1])
    task = small_task(image_trainable="all")
    trainer = small_trainer(tmp_path)
    data = small_data(tiny_manifest)
    trainer.validate(task, datamodule=data, verbose=False)
    learned = float(trainer.callback_metrics["val/mean_recall"])
    assert sizes == [4]  # 8 pairs of 4 images
    trainer.validate(small_task(), datamodule=small_data(tiny_manifest), verbose=False)
    assert float(trainer.callback_metrics["val/mean_recall"]) == pytest.approx(learned)


def test_resuming_after_an_epoch_gives_the_weights_of_an_uninterrupted_run(tiny_manifest, tmp_path):
    def run(folder, epochs, **options):
        task = small_task(text_trainable="all", schedule="constant", warmup=0)
        keep = ModelCheckpoint(dirpath=folder, save_last=True)
        trainer = small_trainer(folder, max_epochs=epochs, callbacks=[keep], enable_checkpointing=True)
        data = small_data(tiny_manifest, batch_size=4, captions="sample", cache_dir=str(tmp_path / "cache"))
        trainer.fit(task, datamodule=data, **options)
        return task, keep

    whole, _ = run(tmp_path / "whole", 4)
    _, keep = run(tmp_path / "half", 2)
    resumed, _ = run(tmp_path / "rest", 4, ckpt_path=keep.last_model_path)
    for name, value in weights(whole).items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_checkpoints_leave_frozen_towers_out_and_refuse_others(tiny_manifest, tmp_path):
    task = small_task(text_trainable="all")
    trainer, _ = fit(task, small_data(tiny_manifest), tmp_path, max_epochs=1)
    path = tmp_path / "one.ckpt"
    trainer.save_checkpoint(path)
    stored = torch.load(path, weights_only=True)
    assert not any("image_encoder" in name for name in stored["state_dict"])
    assert any("text_encoder" in name for name in stored["state_dict"])

    loaded = AlignmentTask.load_from_checkpoint(path, weights_only=True)
    for name, value in weights(task).items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    with pytest.raises(FingerprintMismatchError, match="image encoder"):
        AlignmentTask.load_from_checkpoint(path, weights_only=True, image_encoder="small/other_colours")


def test_heads_get_the_statistics_of_the_training_features(tiny_manifest, tmp_path):
    task = small_task()
    data = small_data(tiny_manifest)
    fit(task, data, tmp_path, max_epochs=1)
    images = data._parts["train"].images
    features = images[np.arange(len(images))]
    head = task.model.image_head.standardise
    assert torch.allclose(head.mean, torch.from_numpy(features.mean(axis=0)), atol=1e-6)
    assert torch.allclose(head.scale, torch.from_numpy(features.std(axis=0)), atol=1e-6)
    # A head that has statistics keeps them.
    other = small_task()
    other.model.image_head.set_statistics(torch.ones(6), torch.full((6,), 2.0))
    fit(other, small_data(tiny_manifest), tmp_path, max_epochs=1)
    assert (other.model.image_head.standardise.mean == 1).all()


def test_a_built_model_is_taken_as_it_is():
    model = DualEncoder(
        small_towers.build_image(""),
        small_towers.build_text(""),
        small_task().model.image_head,
        small_task().model.text_head,
    )
    assert AlignmentTask(model=model).model is model
    with pytest.raises(ConfigurationError, match="not both"):
        AlignmentTask("small/colours", "small/words", model=model)


def test_siglip_starts_with_its_own_temperature_and_bias():
    model = small_task(objective="siglip").model
    assert float(model.logit_scale.exp()) == pytest.approx(10.0)
    assert float(model.logit_bias) == -10.0
    assert small_task().model.logit_bias is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"text_encoder": None}, ConfigurationError, "give both"),
        ({"dual_encoder": "open_clip/x"}, ConfigurationError, "brings both towers"),
        ({"image_head": "residual_mpl"}, UnknownNameError, "Did you mean residual_mlp"),
        ({"image_encoder": "small/colors"}, UnknownNameError, "small/colours"),
        ({"image_trainable": 3}, ConfigurationError, "has 2 blocks"),
    ],
)
def test_names_that_make_no_model_are_explained(options, error, words):
    with pytest.raises(error, match=words):
        small_task(**options)


def test_micro_batches_train_to_the_weights_of_whole_batches(tiny_manifest, tmp_path):
    options = {"image_trainable": "all", "text_trainable": "all"}
    whole, parts = small_task(**options), small_task(**options, micro_batch_size=3, micro_batch_tokens=7)
    for task in (whole, parts):
        fit(task, small_data(tiny_manifest), tmp_path, max_epochs=2)
    expected = weights(whole)
    assert any(not torch.equal(value, weights(small_task(**options))[name]) for name, value in expected.items())
    for name, value in weights(parts).items():
        # Adam divides by the gradient's size, which near zero turns rounding into whole steps.
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=2e-3, msg=name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("micro_batch_size", [None, 3])
def test_a_gpu_trains_in_every_precision(tiny_manifest, tmp_path, precision, micro_batch_size):
    task = small_task(image_trainable="all", text_trainable="all", micro_batch_size=micro_batch_size)
    options = {"accelerator": "cuda", "devices": 1, "precision": precision, "max_epochs": 10}
    _, watch = fit(task, small_data(tiny_manifest), tmp_path, **options)
    assert watch.losses[-1] < watch.losses[0]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_with_the_fused_optimiser(tiny_manifest, tmp_path, precision):
    options = {"precision": precision, "gradient_clip_val": 0.1}
    trainer, _ = fit(small_task(), small_data(tiny_manifest), tmp_path, **options)
    assert all(group["fused"] for group in trainer.optimizers[0].param_groups)
