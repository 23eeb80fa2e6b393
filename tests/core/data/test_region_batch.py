"""Regions of several images in one batch: what is padded, what is kept, and in which order."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data.record import ImageRef, Record
from vlcore.data.region_batch import RegionImages, pad_regions, upright_size
from vlcore.data.regions import RegionReader, Regions
from vlcore.errors import ConfigurationError


def regions(count: int, seed: int = 0, width: int = 5, classes: int | None = 4) -> Regions:
    random = np.random.default_rng(seed)
    corners = np.sort(random.random((count, 2, 2)), axis=1).reshape(count, 4)
    probabilities = None if classes is None else random.dirichlet(np.ones(classes), count).astype(np.float32)
    features = random.normal(size=(count, width)).astype(np.float32)
    return Regions(features, corners.astype(np.float32), probabilities)


@pytest.mark.parametrize("counts", [[3], [1, 1], [2, 0, 5, 1], [0, 4], [36, 7, 12]])
def test_every_region_stands_at_its_place_and_nothing_else_does(counts):
    images = [regions(count, seed) for seed, count in enumerate(counts)]
    batch = pad_regions(images)
    most = max(counts)
    assert batch.features.shape == (len(counts), most, 5)
    assert batch.boxes.shape == (len(counts), most, 4)
    assert batch.class_probabilities.shape == (len(counts), most, 4)
    assert batch.mask.shape == (len(counts), most)
    for row, one in enumerate(images):
        for column in range(most):
            there = column < counts[row]
            assert bool(batch.mask[row, column]) == there
            for padded, values in (
                (batch.features, one.features),
                (batch.boxes, one.boxes),
                (batch.class_probabilities, one.class_probabilities),
            ):
                expected = values[column] if there else np.zeros(padded.shape[2])
                assert padded[row, column].tolist() == expected.tolist()


def test_tensors_are_float32_and_the_mask_is_bool():
    batch = pad_regions([regions(2), regions(1)])
    assert batch.mask.dtype == torch.bool
    for tensor in (batch.features, batch.boxes, batch.class_probabilities):
        assert tensor.dtype == torch.float32 and tensor.is_contiguous()


@pytest.mark.parametrize("images", [1, 3])
def test_a_batch_of_empty_images_has_one_hidden_column(images):
    batch = pad_regions([regions(0, classes=None)] * images)
    assert batch.features.shape == (images, 1, 5) and batch.boxes.shape == (images, 1, 4)
    assert batch.mask.shape == (images, 1) and not batch.mask.any()
    assert not batch.features.any() and not batch.boxes.any() and batch.class_probabilities is None


def test_the_order_of_images_is_that_of_the_batch():
    images = [regions(count, seed) for seed, count in enumerate([2, 4, 0, 3])]
    order = [3, 1, 0, 2]
    batch, changed = pad_regions(images), pad_regions([images[row] for row in order])
    for before, after in zip(batch, changed, strict=True):
        assert torch.equal(before[order], after)


def test_more_regions_beside_it_do_not_change_an_image():
    one, many = regions(2), regions(9, seed=1)
    alone, beside = pad_regions([one]), pad_regions([one, many])
    for small, large in zip(alone, beside, strict=True):
        assert torch.equal(small[0], large[0, :2])


def test_the_batch_shares_no_memory_with_the_regions():
    one = regions(2)
    batch = pad_regions([one])
    before = batch.features.clone()
    one.features[:] = 7
    assert torch.equal(batch.features, before)


def test_probabilities_are_none_where_no_image_has_them():
    assert pad_regions([regions(2, classes=None), regions(1, classes=None)]).class_probabilities is None


def test_an_empty_image_goes_with_those_that_have_probabilities():
    batch = pad_regions([regions(0, classes=None), regions(2)])
    assert batch.class_probabilities.shape == (2, 2, 4) and not batch.class_probabilities[0].any()
    assert torch.allclose(batch.class_probabilities[1].sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("other", [None, 6])
def test_regions_of_several_detectors_are_refused(other):
    with pytest.raises(ConfigurationError, match=rf"class probabilities of .*'{other}'.* must come from one detector"):
        pad_regions([regions(2), regions(2, classes=other)])


@pytest.fixture
def table(tmp_path: Path) -> RegionImages:
    """Three images with 1, 2 and 3 regions, each filled with its number."""
    records = []
    for number in (1, 2, 3):
        np.savez(
            tmp_path / f"{number}.npz",
            features=np.full((number, 5), number, np.float32),
            boxes=np.tile(np.array([10, 5, 30, 20], np.float32), (number, 1)),
            image_width=40,
            image_height=20,
        )
        image = ImageRef(tmp_path / f"{number}.png")
        Image.new("RGB", (40, 20)).save(image.path)
        records.append(Record(f"photo {number}", image, meta={"regions": f"{number}.npz"}))
    return RegionImages(records, RegionReader(tmp_path, 5))


def test_rows_are_read_in_the_order_that_is_asked_for(table):
    batch = table(np.array([2, 0, 2]))
    assert batch.mask.sum(dim=1).tolist() == [3, 1, 3]
    assert batch.features[:, 0, 0].tolist() == [3, 1, 3]
    assert torch.allclose(batch.boxes[1, 0], torch.tensor([0.25, 0.25, 0.75, 1.0]))


def test_a_table_travels_to_another_process(table):
    rows = np.array([1, 2])
    before, after = table(rows), pickle.loads(pickle.dumps(table))(rows)
    assert torch.equal(before.features, after.features) and torch.equal(before.mask, after.mask)


@pytest.mark.parametrize(("turn", "expected"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
def test_the_size_is_that_of_the_image_as_it_is_shown(turn, expected, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(ImageRef(tmp_path / "a.jpg")) == expected


def test_an_image_that_cannot_be_asked_has_no_size(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert upright_size(ImageRef(tmp_path / "a.jpg")) is None
    assert upright_size(ImageRef(tmp_path / "missing.jpg")) is None
    assert upright_size(ImageRef(tmp_path / "a.tar", member="a.jpg")) is None
