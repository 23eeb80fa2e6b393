import json
import shutil
import tarfile
import warnings

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from vlcore.data import arrangement
from vlcore.data.collate import PixelReader
from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.text import text_key
from vlcore.errors import ConfigurationError, ImageDecodeError, ManifestError, VlcoreError
from vlcore.types import PairBatch


@pytest.fixture
def prepare(small, tiny_manifest, tmp_path):
    """A data module as a trainer sets it up, without training."""

    def prepared(stage="fit", task=None, **options):
        data = small.small_data(tiny_manifest, **options)
        trainer = small.small_trainer(tmp_path)
        data.trainer = trainer
        trainer.strategy._lightning_module = small.small_task() if task is None else task
        data.setup(stage)
        return data

    return prepared


def read(data, loader):
    """The batches of a loader as the trainer gets them."""
    return [data.on_before_batch_transfer(batch, 0) for batch in loader]


def rewrite(manifest, change):
    """Change every row of a manifest."""
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(change(number, row)) + "\n" for number, row in enumerate(rows)))
    return rows


def split_out(rows, split):
    return [row for row in rows if row["split"] == split]


# Frozen towers


def test_features_of_frozen_towers_are_those_of_the_towers(small, prepare, tiny_manifest):
    task = small.small_task()
    data = prepare(task=task)
    rows = split_out([json.loads(line) for line in tiny_manifest.read_text().splitlines()], "train")
    batches = read(data, data.train_dataloader())
    assert [len(batch) for batch in batches] == [8, 8]
    train = data._parts["train"]
    assert isinstance(train.images, FeatureRows) and isinstance(train.texts, FeatureRows)
    texts = {text_key(text): text for row in rows for text in row["texts"]}
    seen = set()
    for batch in batches:
        assert batch.images is batch.input_ids is None
        found = [texts[key] for key in batch.text_key.tolist()]
        assert torch.allclose(batch.text_features, task.text_features(found), atol=1e-6)
        for index, text, features in zip(batch.image_index.tolist(), found, batch.image_features, strict=True):
            assert text in rows[index]["texts"]
            assert torch.equal(features, torch.from_numpy(train.images[np.array([index])])[0])
            seen.add((index, text))
    assert len(seen) == 16


def test_a_second_setup_and_a_second_run_never_touch_the_towers(small, prepare):
    data = prepare()
    assert (small.SmallImageEncoder.calls, data.report.decoded) == (2, 12)
    calls = small.SmallImageEncoder.calls, small.SmallTextEncoder.calls
    data.setup("fit")
    data.setup("validate")
    again = prepare()
    assert (small.SmallImageEncoder.calls, small.SmallTextEncoder.calls) == calls
    assert again.report.decoded == 0
    for one, other in zip(data.train_dataloader(), again.train_dataloader(), strict=True):
        assert torch.equal(one.image_features, other.image_features)


def test_another_task_gets_features_of_its_own(small, prepare):
    data = prepare()
    before = data._parts["train"].images[np.arange(8)]
    data.trainer.strategy._lightning_module = small.small_task(image_encoder="small/other_colours")
    data.setup("fit")
    assert not np.allclose(data._parts["train"].images[np.arange(8)], before)


def test_without_a_cache_images_are_read_and_no_file_is_written(small, prepare, tiny_manifest):
    data = prepare(cache_features=False, cache_dir=None)
    assert isinstance(data._parts["train"].images, PixelReader)
    assert not (tiny_manifest.parent / "cache").exists()
    batch = read(data, data.val_dataloader())[0]
    assert batch.images.shape == (8, 3, 8, 8) and batch.input_ids is not None


def test_a_side_that_learns_is_read_and_the_other_one_cached(small, prepare):
    lit = prepare(task=small.small_task(text_trainable="all"))
    batch = read(lit, lit.train_dataloader())[0]
    assert type(batch) is PairBatch
    assert batch.image_features is not None and batch.text_features is None
    assert batch.text_lengths == tuple(batch.attention_mask.sum(dim=1).tolist())
    pixels = prepare(task=small.small_task(image_trainable="all"))
    batch = read(pixels, pixels.train_dataloader())[0]
    assert batch.images is not None and batch.text_features is not None


def test_augmented_images_are_read_anew_for_training_only(small, prepare, caplog):
    with caplog.at_level("INFO"):
        data = prepare(augment=[v2.RandomHorizontalFlip(1.0)], order="rows")
    assert "encodes augmented images anew in every epoch" in caplog.text
    assert isinstance(data._parts["train"].images, PixelReader)
    assert isinstance(data._parts["val"].images, FeatureRows)
    plain = prepare(cache_features=False, order="rows")
    first, second = (next(iter(one.train_dataloader())) for one in (data, plain))
    assert first.text_key.tolist() == second.text_key.tolist()
    # The tower's own geometry squashes, so flipping before or after is the same up to rounding.
    assert (first.images.int() - second.images.flip(-1).int()).abs().max() <= 1


def test_a_cache_that_is_cleared_between_epochs_is_an_error(small, prepare, tiny_manifest):
    data = prepare()
    loader = data.train_dataloader()
    assert len(list(loader)) == 2
    shutil.rmtree(tiny_manifest.parent / "cache")
    loader.set_epoch(1)
    with pytest.raises(VlcoreError, match=r"features.bin cannot be read: the file is gone.*Start again"):
        list(loader)
    assert len(list(prepare().train_dataloader())) == 2


def test_an_emptied_feature_file_is_filled_anew(small, prepare, tiny_manifest):
    before = prepare()._parts["train"].images[np.arange(8)]
    for path in (tiny_manifest.parent / "cache").glob("*/features.bin"):
        path.write_bytes(b"")
    calls = small.SmallImageEncoder.calls
    np.testing.assert_array_equal(prepare()._parts["train"].images[np.arange(8)], before)
    assert small.SmallImageEncoder.calls > calls


# Order


def test_the_order_follows_what_is_read(small, prepare, monkeypatch):
    def chosen(data):
        return data.train_dataloader().order.arrangement

    assert chosen(prepare()) == "rows"
    assert chosen(prepare(task=small.small_task(text_trainable="all"))) == "lengths"
    assert chosen(prepare(task=small.small_task(image_trainable="all"))) == "rows"
    assert chosen(prepare(order="blocks")) == "blocks"
    # 8 images of 6 numbers and 16 texts of 5, at 4 bytes.
    monkeypatch.setattr(arrangement, "BLOCKS_FROM_BYTES", 8 * 24 + 16 * 20)
    assert chosen(prepare()) == "blocks"
    monkeypatch.setattr(arrangement, "BLOCKS_FROM_BYTES", 8 * 24 + 16 * 20 + 1)
    assert chosen(prepare()) == "rows"


def test_batches_by_length_go_by_the_tokens_of_the_tower(small, prepare, tiny_manifest):
    rewrite(tiny_manifest, lambda number, row: {**row, "texts": ["red", "a red square for all"]})
    data = prepare(task=small.small_task(text_trainable="all"), batch_size=4)
    loader = data.train_dataloader()
    for epoch in range(3):
        loader.set_epoch(epoch)
        for batch in loader:
            assert batch.input_ids.shape[1] in (1, 5) and len(set(batch.text_lengths)) == 1


def test_sampling_reads_every_image_once_for_training_and_every_text_for_validation(small, prepare):
    data = prepare(captions="sample", batch_size=4)
    assert sorted(torch.cat([batch.image_index for batch in data.train_dataloader()]).tolist()) == list(range(8))
    assert torch.cat([batch.image_index for batch in data.val_dataloader()]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def write_tars(manifest, folder):
    """The images and captions of a manifest as two webdataset archives."""
    folder.mkdir()
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for shard in range(2):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
            for number, row in enumerate(rows):
                if number % 2 != shard:
                    continue
                text = folder / "text"
                text.write_text(row["texts"][0])
                tar.add(manifest.parent / row["image"], f"{number:04d}.png")
                tar.add(text, f"{number:04d}.txt")
                text.unlink()
    return folder


def test_archives_are_read_in_blocks_and_their_loss_is_named(small, tiny_manifest, tmp_path):
    shards = write_tars(tiny_manifest, tmp_path / "shards")
    data = ManifestDataModule(
        str(shards), batch_size=4, val_fraction=0, cache_dir=str(tmp_path / "cache"), num_workers=0
    )
    trainer = small.small_trainer(tmp_path)
    data.trainer = trainer
    trainer.strategy._lightning_module = small.small_task(image_trainable="all")
    data.setup("fit")
    loader = data.train_dataloader()
    assert loader.order.arrangement == "blocks"
    assert sum(len(batch) for batch in read(data, loader)) == 12
    (shards / "00001.tar").unlink()
    loader.set_epoch(1)
    with pytest.raises(ImageDecodeError, match=r"00001.tar"):
        read(data, loader)


def test_an_empty_archive_is_refused_before_training(small, tiny_manifest, tmp_path):
    shards = write_tars(tiny_manifest, tmp_path / "shards")
    (shards / "00001.tar").write_bytes(b"")
    data = ManifestDataModule(str(shards), val_fraction=0, cache_dir=str(tmp_path / "cache"))
    data.trainer = small.small_trainer(tmp_path)
    data.trainer.strategy._lightning_module = small.small_task()
    with pytest.raises(ManifestError, match=r"00001.tar"):
        data.setup("fit")


# Bad images


def damage(manifest, *places):
    images = [json.loads(line)["image"] for line in manifest.read_text().splitlines()]
    for place in places:
        (manifest.parent / images[place]).write_bytes(b"no image")
    return [images[place] for place in places]


def test_a_bad_image_stops_the_setup_of_a_frozen_tower_by_name(small, prepare, tiny_manifest):
    (name,) = damage(tiny_manifest, 2)
    with pytest.raises(ImageDecodeError, match=name):
        prepare()


def test_skipped_images_take_their_pairs_with_them(small, prepare, tiny_manifest):
    damage(tiny_manifest, 2, 9)
    frozen = prepare(on_bad_image="skip")
    assert frozen.report.skipped == 2
    assert frozen.describe()["parts"] == {
        "train": {"images": 7, "captions": 14},
        "val": {"images": 3, "captions": 6},
    }
    assert frozen.describe()["bad_images"] == {"skipped": 2, "replaced": 0}
    table = frozen._parts["train"].table
    assert not any("blue" in text for text in table.texts[:6])
    # Read by the step, they leave gaps in batches; the count comes back from the worker process.
    learning = prepare(task=small.small_task(image_trainable="all"), on_bad_image="skip", num_workers=1)
    with pytest.warns(UserWarning, match="blue_2.png.*goes on with 'skip'"):
        batches = read(learning, learning.train_dataloader())
    assert sum(map(len, batches)) == 14
    assert learning.report.skipped >= 1 and learning.report.decoded >= 7


def test_replaced_images_keep_their_pairs(small, prepare, tiny_manifest):
    damage(tiny_manifest, 2)
    data = prepare(on_bad_image="replace")
    assert data.describe()["bad_images"] == {"skipped": 0, "replaced": 1}
    assert data.describe()["parts"]["train"] == {"images": 8, "captions": 16}


def test_a_bad_image_stops_training_where_it_is_read_by_the_step(small, prepare, tiny_manifest):
    (name,) = damage(tiny_manifest, 2)
    data = prepare(task=small.small_task(image_trainable="all"))
    with pytest.raises(ImageDecodeError, match=name):
        read(data, data.train_dataloader())


@pytest.mark.parametrize("trainable", ["none", "all"])
def test_images_that_are_all_bad_are_an_error(small, prepare, tiny_manifest, trainable):
    damage(tiny_manifest, *range(8))
    with pytest.raises(ConfigurationError, match=r"None of 8 images can be read, .*0.png.*image_root"):
        prepare(task=small.small_task(image_trainable=trainable), on_bad_image="skip")


def test_a_batch_of_nothing_but_bad_images_is_an_error(small, prepare, tiny_manifest):
    data = prepare(task=small.small_task(image_trainable="all"), on_bad_image="skip")
    damage(tiny_manifest, *range(8))
    with (
        pytest.warns(UserWarning, match="goes on with 'skip'"),
        pytest.raises(ConfigurationError, match="Every image of a batch is bad"),
    ):
        read(data, data.train_dataloader())


# Splits, texts, facts


def test_a_part_is_held_out_by_group_where_there_is_no_split_to_validate_on(small, prepare, tiny_manifest):
    rewrite(tiny_manifest, lambda number, row: {**row, "split": "train", "group": row["label"]})
    data = prepare(val_split=None, val_fraction=0.3)
    assert data.validates
    groups = {}
    for part in ("train", "val"):
        groups[part] = {image.path.name.split("_")[0] for image in data._parts[part].table.images}
    assert groups["val"] and not groups["train"] & groups["val"]
    assert len(groups["train"] | groups["val"]) == 6
    facts = data.describe()
    assert facts["validation"] == "30% of 'train' held out by group, seed 0"
    other = prepare(val_split=None, val_fraction=0.3, seed=3)
    assert [image.path for image in other._parts["val"].table.images] != [
        image.path for image in data._parts["val"].table.images
    ]


def test_without_anything_held_out_nothing_is_validated(small, prepare, tiny_manifest):
    data = prepare(val_split=None, val_fraction=0)
    assert not data.validates
    assert data.val_dataloader() == []
    assert set(data.describe()["parts"]) == {"train"}


def test_it_describes_the_data_for_the_model_card(small, prepare, tiny_manifest):
    facts = prepare(captions="sample").describe()
    assert facts["manifest"] == "captions.jsonl"
    assert len(facts["fingerprint"]) >= 32
    assert (facts["captions"], facts["validation"], facts["lang"]) == ("sample", "test", None)
    assert facts["parts"] == {"train": {"images": 8, "captions": 16}, "val": {"images": 4, "captions": 8}}
    assert json.loads(json.dumps(facts)) == facts


def test_test_and_predict_read_the_test_pairs_and_leave_training_alone(small, prepare):
    for stage in ("test", "predict"):
        data = prepare(stage)
        assert set(data._parts) == {"test"}
        loader = getattr(data, f"{stage}_dataloader")()
        assert sum(len(batch) for batch in loader) == 8


def test_texts_that_the_tower_cuts_off_are_counted_in_one_warning(small, prepare, tiny_manifest):
    long = "a red square . everything here is red"

    def lengthen(number, row):
        return {**row, "texts": [long, "short"] if number < 3 else row["texts"]}

    rewrite(tiny_manifest, lengthen)
    with pytest.warns(UserWarning) as warned:
        prepare()
    messages = [str(one.message) for one in warned if "are longer than" in str(one.message)]
    assert len(messages) == 1
    assert "3 of 16 texts of the train pairs are longer than the 6 tokens that small/words reads" in messages[0]


def test_texts_that_fit_are_not_warned_of(small, prepare):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        prepare()
    assert not [one for one in warned if "are longer than" in str(one.message)]


def test_heads_get_the_statistics_of_the_training_features_once(small, prepare):
    task = small.small_task()
    data = prepare(task=task)
    images = data._parts["train"].images[np.arange(8)]
    assert not task.needs_feature_statistics
    assert torch.allclose(task.model.image_head.standardise.mean, torch.from_numpy(images.mean(axis=0)), atol=1e-6)


def test_settings_that_cannot_be_used_are_refused(small, tiny_manifest, prepare):
    with pytest.raises(ConfigurationError, match="batch_size=1: a contrastive loss needs at least 2"):
        ManifestDataModule(str(tiny_manifest), batch_size=1)
    with pytest.raises(ConfigurationError, match=r"val_fraction=1\.0"):
        ManifestDataModule(str(tiny_manifest), val_fraction=1.0)
    with pytest.raises(ConfigurationError, match=r"no captioned records of the split 'dev'.*'test', 'train'"):
        prepare(val_split="dev")
    with pytest.raises(ConfigurationError, match="pass both to a Trainer"):
        ManifestDataModule(str(tiny_manifest)).setup("fit")


def test_a_single_pair_makes_a_batch(small, prepare, tiny_manifest):
    def one_caption_in_all(number, row):
        return {**row, "texts": row["texts"][:1], "split": "train" if number == 0 else "test"}

    rewrite(tiny_manifest, one_caption_in_all)
    data = prepare()
    assert [len(batch) for batch in data.train_dataloader()] == [1]
