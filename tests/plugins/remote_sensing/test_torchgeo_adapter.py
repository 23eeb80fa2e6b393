"""Data sets in TorchGeo's form train a model; the small data sets here stand for them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vlcore.cli.main import main
from vlcore.data.transform import apply_preprocess
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.torchgeo_adapter import TorchGeoDataModule

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[2] / "core" / "tasks")]

from small_towers import PREPROCESS, register, small_task, small_trainer
from torchgeo_colours import COLOURS, Colours, LabelledSentinel


@pytest.fixture(autouse=True)
def small(monkeypatch):
    register()
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "small_towers"})


def module(train=None, **options):
    return TorchGeoDataModule(Colours() if train is None else train, **{"batch_size": 8, "num_workers": 0, **options})


def attached(data, tmp_path, stage="fit"):
    """A data module as a trainer sets it up, without training."""
    data.trainer = small_trainer(tmp_path)
    data.trainer.strategy._lightning_module = small_task()
    data.setup(stage)
    return data


def as_image(sample):
    return apply_preprocess(sample["image"].round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy(), PREPROCESS)


def test_a_task_trains_validates_and_tests_on_it(tmp_path):
    data = module(val=Colours(8), test=Colours(8))
    trainer, task = small_trainer(tmp_path, max_epochs=30), small_task()
    assert data.validates and not module().validates
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 60
    assert trainer.callback_metrics["train/loss"] < 1.0 < np.log(8)
    trainer.test(task, datamodule=data, verbose=False)
    assert data.describe()["parts"]["test"] == {"images": 8}


def test_a_yaml_file_names_the_data_sets(tmp_path):
    config = """
model:
  class_path: AlignmentTask
  init_args: {image_encoder: small/colours, text_encoder: small/words, image_head: linear, text_head: linear,
    embedding_size: 4}
data:
  class_path: vlcore_remote_sensing.torchgeo_adapter.TorchGeoDataModule
  init_args:
    train: {class_path: torchgeo_colours.LabelledSentinel, init_args: {count: 12}}
    val: {class_path: torchgeo_colours.LabelledSentinel}
    class_names: [red, green, blue, white]
    bands: [3, 2, 1]
    value_range: [0, 3000]
    batch_size: 8
    num_workers: 0
trainer: {fast_dev_run: true, accelerator: cpu, logger: false}
"""
    (tmp_path / "fit.yaml").write_text(config)
    assert main(["fit", "-c", str(tmp_path / "fit.yaml")]) == 0


def test_each_pair_comes_once_an_epoch_with_its_own_image(tmp_path):
    colours = Colours(18)
    data = attached(module(colours, val=Colours(5)), tmp_path)
    batches = list(data.train_dataloader())
    assert [len(batch) for batch in batches] == [8, 8]
    seen = [row for batch in batches for row in batch.image_index.tolist()]
    assert len(set(seen)) == 16
    for batch in batches:
        for row, image in zip(batch.image_index.tolist(), batch.images, strict=True):
            assert torch.equal(image, as_image(colours[row]))
        # Equal captions are positives of each other.
        same = batch.text_key[:, None] == batch.text_key
        assert torch.equal(same, (batch.image_index[:, None] - batch.image_index) % 4 == 0)
    (first,) = data.val_dataloader()
    assert first.image_index.tolist() == [0, 1, 2, 3, 4]
    assert data.training_texts()[0] == "a red square ."


def test_labels_become_sentences_and_bands_become_colours(tmp_path):
    options = {"class_names": list(COLOURS), "prompt": "a {} square .", "bands": (3, 2, 1), "value_range": (0, 3000)}
    sentinel, rgb = module(LabelledSentinel(), **options), module()
    ours, theirs = (list(attached(data, tmp_path).train_dataloader()) for data in (sentinel, rgb))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.text_key, other.text_key) and torch.equal(one.input_ids, other.input_ids)
        assert (one.images.int() - other.images.int()).abs().max() <= 1
    assert sentinel.describe()["prompt"] == "a {} square ." and rgb.describe()["prompt"] is None


def test_values_outside_the_range_are_cut_off(tmp_path):
    extreme = torch.tensor([-50.0, 128.0, 900.0])[:, None, None].expand(3, 8, 8)
    data = attached(module(Colours(2, at_0={"image": extreme})), tmp_path)
    (batch,) = data.train_dataloader()
    assert batch.images[batch.image_index == 0][0, :, 4, 4].tolist() == [0, 128, 255]


def test_heads_that_standardise_get_statistics_of_the_training_pairs(tmp_path):
    data = attached(module(Colours(12)), tmp_path)
    task = data.trainer.lightning_module
    pixels = torch.stack([as_image(Colours(12)[row]) for row in range(12)])
    image = task.image_features()(pixels)
    text = task.text_features([f"a {list(COLOURS)[row % 4]} square ." for row in range(12)])
    for head, features in ((task.model.image_head, image), (task.model.text_head, text)):
        assert torch.allclose(head.standardise.mean.float(), features.mean(dim=0).float(), atol=1e-5)


def test_workers_give_the_same_batches(tmp_path):
    alone, helped = (attached(module(num_workers=workers), tmp_path) for workers in (0, 2))
    for one, other in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.input_ids, other.input_ids)


def test_bad_samples_are_listed_together(tmp_path):
    samples = Colours(
        9,
        at_0={"caption": " "},
        at_1={"caption": None},
        at_2={"caption": None, "label": torch.tensor([1, 2])},
        at_3={"caption": None, "label": 7},
        at_4={"image": torch.zeros(2, 4, 4)},
        at_5={"image": torch.zeros(4, 4)},
        at_6={"image": "a.jpg"},
        at_7={"image": torch.full((3, 4, 4), torch.inf)},
    )
    with pytest.raises(ManifestError) as caught:
        attached(module(samples, class_names=["red"]), tmp_path)
    message = str(caught.value)
    for part in (
        "Colours: 8 problems",
        "sample 0: 'caption' is ' '. It must be words.",
        "sample 1: has no 'caption', and 'label' is None. It must be one whole number.",
        "sample 2: has no 'caption', and 'label' is tensor([1, 2])",
        "sample 3: the label 7 has no name: class_names has 1. Give all of them.",
        "sample 4: 'image' has 2 channels, and bands=(0, 1, 2) names more",
        "sample 5: 'image' is (4, 4). It must be a tensor [C, H, W].",
        "sample 6: 'image' is str. It must be a tensor",
        "sample 7: 'image' holds values that are not finite",
    ):
        assert part in message


def test_an_image_that_goes_bad_later_is_told_with_its_place(tmp_path):
    samples = Colours(2)
    data = attached(module(samples), tmp_path)
    samples.changes["at_1"] = {"image": torch.full((3, 4, 4), torch.nan)}
    with pytest.raises(ConfigurationError, match=r"Colours/1: 'image' holds values .* check random transforms"):
        list(data.train_dataloader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 1}, "needs at least 2 pairs"),
        ({"prompt": "a square"}, "write {} once"),
        ({"prompt": "{} {name}"}, "write {} once"),
        ({"bands": (0, 1, -1)}, "three positions from 0"),
        ({"value_range": (1, 1)}, "the first value must be the lower one"),
    ],
)
def test_options_that_cannot_be_used_are_told(options, message):
    with pytest.raises(ConfigurationError) as caught:
        module(**options)
    assert message in str(caught.value)


def test_a_stage_without_samples_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"There are no samples to test on. Give a data set that has some"):
        attached(module(), tmp_path, stage="test")
    with pytest.raises(ConfigurationError, match="no samples to train on"):
        attached(module(Colours(0)), tmp_path)
