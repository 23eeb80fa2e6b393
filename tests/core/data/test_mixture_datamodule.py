import json

import pytest
import torch
from lightning.pytorch import Callback

from vlcore.cli.main import main
from vlcore.data.mixture_datamodule import MixtureDataModule
from vlcore.errors import ConfigurationError
from vlcore.tasks.multi_task_adamw import MultiTaskAdamW


@pytest.fixture
def manifests(tiny_manifest):
    """The tiny manifest, and one of its first four images with other texts."""
    lines = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    second = tiny_manifest.with_name("second.jsonl")
    rows = [{**line, "texts": [f"the {line['label']} square ."]} for line in (*lines[:4], *lines[8:])]
    second.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"first": tiny_manifest, "second": second}


@pytest.fixture
def mixture(small, manifests):
    def make(options=None, **of_all):
        settings = {"batch_size": 4, **of_all}
        parts = {name: small.small_data(manifest, **settings) for name, manifest in manifests.items()}
        return MixtureDataModule(parts, **(options or {}))

    return make


class Log(Callback):
    def __init__(self):
        self.datasets, self.images, self.path = [], [], None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.datasets.append(batch.dataset)
        self.images.append(sorted(batch.image_index.tolist()))

    def on_train_batch_end(self, trainer, *rest):
        if self.path is not None and trainer.global_step == 4:
            trainer.save_checkpoint(self.path, weights_only=False)


def fit(small, folder, data, log, task=None, resume=None, **options):
    task = small.small_task() if task is None else task
    trainer = small.small_trainer(folder, max_epochs=3, callbacks=[log], **options)
    trainer.fit(task, datamodule=data, ckpt_path=resume)
    return trainer, task


def test_a_fit_sees_both_data_sets_and_logs_each_under_its_name(small, mixture, tmp_path):
    log = Log()
    data = mixture()
    trainer, _ = fit(small, tmp_path, data, log)
    # 16 pairs and 4 pairs in batches of 4.
    assert data.shares == (0.8, 0.2)
    assert len(log.datasets) == 3 * 5 and set(log.datasets) == {0, 1}
    metrics = trainer.callback_metrics
    recalls = [metrics[f"val/{name}/mean_recall"] for name in ("first", "second")]
    assert metrics["val/mean_recall"] == pytest.approx(sum(recalls) / 2)
    assert {"train/loss", "train/first/loss", "val/loss", "val/first/loss", "val/second/loss"} <= metrics.keys()
    # Numbers of images are those of one data set: the second has four to train on.
    assert all(max(images) < 4 for images, dataset in zip(log.images, log.datasets, strict=True) if dataset == 1)


def test_a_resumed_run_draws_what_was_left_and_ends_with_the_same_weights(small, mixture, tmp_path):
    options = {"optimizer": "multi_task_adamw", "image_trainable": "all"}
    whole = Log()
    whole.path = tmp_path / "fourth.ckpt"
    _, first = fit(small, tmp_path, mixture(), whole, small.small_task(**options))
    rest = Log()
    _, second = fit(small, tmp_path, mixture(), rest, small.small_task(**options), resume=whole.path)
    assert rest.datasets == whole.datasets[4:] and rest.images == whole.images[4:]
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_the_optimiser_gets_probabilities_weights_and_the_data_set_of_every_step(small, mixture, tmp_path, monkeypatch):
    seen = []
    step = MultiTaskAdamW._step_group

    def noted(self, group, scale, probability):
        seen.append((self.dataset, probability, self.weights))
        step(self, group, scale, probability)

    monkeypatch.setattr(MultiTaskAdamW, "_step_group", noted)
    options = {"probabilities": {"second": 1, "first": 3}, "weights": {"first": 1.0, "second": 2.0}}
    log = Log()
    fit(small, tmp_path, mixture(options), log, small.small_task(optimizer="multi_task_adamw"))
    groups = len(seen) // len(log.datasets)
    assert [dataset for dataset, _, _ in seen[::groups]] == log.datasets
    assert {(0, 0.75, (1.0, 2.0)), (1, 0.25, (1.0, 2.0))} == set(seen)


def test_heads_are_standardised_by_all_data_sets_alike(small, mixture, tmp_path):
    data, task = mixture(), small.small_task(text_head="residual_mlp", image_head="residual_mlp")
    fit(small, tmp_path, data, Log(), task)
    first, second = (part.sample_features()[1] for part in data.datasets.values())
    assert len(second) == 4
    expected = torch.from_numpy((first[[0, 5, 10, 15]].mean(0) + second.mean(0)) / 2)
    assert torch.allclose(task.model.text_head.standardise.mean.float(), expected, atol=1e-6)


def test_bad_images_are_counted_by_their_data_set(small, mixture, manifests, tmp_path):
    (manifests["first"].parent / "white_5.png").write_bytes(b"no image")
    data = mixture(cache_features=False, on_bad_image="skip")
    fit(small, tmp_path, data, Log())
    # Image 5 is only in the first manifest's training part.
    assert data.datasets["first"].report.skipped > 0
    assert data.datasets["second"].report.skipped == 0


def test_the_model_card_describes_every_data_set(small, mixture, tmp_path):
    data = mixture({"probabilities": {"first": 1, "second": 1}})
    fit(small, tmp_path, data, Log())
    described = data.describe()
    assert described["probabilities"] == {"first": 0.5, "second": 0.5}
    assert described["datasets"]["second"]["parts"]["train"] == {"images": 4, "captions": 4}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"probabilities": {"first": 1.0}}, r"probabilities are given for \['first'\], and the data sets are"),
        ({"weights": {"first": 1.0, "second": 0.0}}, "weights: 0.0 of 'second' is not above 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0"),
    ],
)
def test_values_that_fit_no_mixture_are_refused(mixture, options, words):
    with pytest.raises(ConfigurationError, match=words):
        mixture(options)


def test_one_data_set_is_no_mixture(small, manifests):
    with pytest.raises(ConfigurationError, match="at least two data sets"):
        MixtureDataModule({"first": small.small_data(manifests["first"])})


def test_the_optimiser_needs_a_mixture_and_whole_steps(small, mixture, manifests, tmp_path):
    task = small.small_task(optimizer="multi_task_adamw")
    with pytest.raises(ConfigurationError, match="there is none: train on a MixtureDataModule"):
        fit(small, tmp_path, small.small_data(manifests["first"]), Log(), task)
    with pytest.raises(ConfigurationError, match="with accumulate_grad_batches=2"):
        fit(small, tmp_path, mixture(), Log(), task, accumulate_grad_batches=2)


def test_a_configuration_file_names_the_data_sets(small, manifests, tmp_path, capsys):
    config = tmp_path / "mixture.yaml"
    config.write_text(
        f"""
model:
  class_path: AlignmentTask
  init_args:
    image_encoder: small/colours
    text_encoder: small/words
    image_head: linear
    text_head: linear
    optimizer: multi_task_adamw
    schedule: uba
    uba_phi: 0.5
data:
  class_path: MixtureDataModule
  init_args:
    datasets:
      first:
        class_path: ManifestDataModule
        init_args: {{manifest: {manifests["first"]}, batch_size: 4, cache_dir: {tmp_path}, val_split: test}}
      second:
        class_path: ManifestDataModule
        init_args: {{manifest: {manifests["second"]}, batch_size: 2, cache_dir: {tmp_path}, val_split: test}}
    probabilities: {{first: 2, second: 1}}
"""
    )
    arguments = ["fit", "-c", str(config), "--trainer.fast_dev_run=2", "--trainer.accelerator=cpu"]
    assert main([*arguments, f"--trainer.default_root_dir={tmp_path / 'run'}"]) == 0
    assert main([*arguments, "--data.probabilities={first: 1}"]) == 2
    assert "probabilities are given for ['first']" in capsys.readouterr().err


def test_a_run_that_is_to_overfit_reads_the_same_batches_in_every_epoch(small, mixture, tmp_path):
    log = Log()
    fit(small, tmp_path, mixture(), log, overfit_batches=3)
    assert len(log.images) == 9
    epochs = [list(zip(log.datasets[at : at + 3], log.images[at : at + 3], strict=True)) for at in (0, 3, 6)]
    assert epochs[0] == epochs[1] == epochs[2]


def test_limited_validation_scores_the_data_sets_that_it_reaches(small, mixture, tmp_path):
    trainer, _ = fit(small, tmp_path, mixture(), Log(), limit_val_batches=1)
    assert "val/first/mean_recall" in trainer.callback_metrics
    assert "val/second/mean_recall" not in trainer.callback_metrics
    assert trainer.callback_metrics["val/mean_recall"] == trainer.callback_metrics["val/first/mean_recall"]
