"""Batches in input order, aligned with their ids, with threads that end when the loop does."""

from __future__ import annotations

import hashlib
import itertools
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data import stream
from vlcore.data.decode import DecodeReport, decode_image
from vlcore.data.record import ImageRef
from vlcore.data.stream import GREY, REPLACED_KEY, ImageStream, content_key
from vlcore.data.transform import apply_preprocess
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.types import ImagePreprocess

SMALL = ImagePreprocess(size=(24, 24), resize_to=28)
BAD = (3, 4, 11)


@pytest.fixture
def folder(tmp_path):
    """Thirteen images, each of its own grey; in the folder `bad` three of them are broken."""
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        for index in range(13):
            path = tmp_path / name / f"{index:02}.png"
            Image.new("RGB", (40, 30 + index), (10 * index, 200, 5)).save(path)
            if name == "bad" and index in BAD:
                path.write_bytes(b"" if index == 4 else path.read_bytes()[:40])
    return tmp_path


def refs(folder):
    return [(path.stem, ImageRef(path)) for path in sorted(folder.glob("*.png"))]


def chunks(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


def decoding_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("vlcore-decode")]


@pytest.mark.parametrize("workers", [1, 3, None])
@pytest.mark.parametrize("batch_size", [1, 5, 13, 64])
def test_batches_in_input_order(folder, workers, batch_size):
    pairs = refs(folder / "good")
    report = DecodeReport()
    batches = list(ImageStream(pairs, SMALL, batch_size, workers, report=report))
    assert [len(batch.ids) for batch in batches] == [len(part) for part in chunks(pairs, batch_size)]
    assert [name for batch in batches for name in batch.ids] == [name for name, _ in pairs]
    assert [position for batch in batches for position in batch.positions] == list(range(13))
    images = torch.cat([batch.images for batch in batches])
    assert images.shape == (13, 3, 24, 24) and images.dtype == torch.uint8
    for image, (name, ref) in zip(images, pairs, strict=True):
        assert torch.equal(image, apply_preprocess(decode_image(ref, sample_id=name), SMALL))
    keys = [key for batch in batches for key in batch.content_keys]
    assert keys == [hashlib.sha256(ref.path.read_bytes()).digest() for _, ref in pairs]
    assert (report.decoded, report.bad) == (13, 0)
    assert decoding_threads() == []


def test_a_stream_can_be_iterated_again(folder):
    images = ImageStream(refs(folder / "good"), SMALL, 4)
    first, second = list(images), list(images)
    assert all(torch.equal(a.images, b.images) and a.ids == b.ids for a, b in zip(first, second, strict=True))


def test_empty_input_yields_nothing():
    assert list(ImageStream([], SMALL)) == []


@pytest.mark.parametrize("batch_size", [2, 5, 13])
def test_skip_keeps_ids_positions_keys_and_pixels_together(folder, batch_size):
    pairs = refs(folder / "bad")
    report = DecodeReport()
    batches = list(ImageStream(pairs, SMALL, batch_size, on_bad_image="skip", report=report))
    good = [index for index in range(13) if index not in BAD]
    assert [position for batch in batches for position in batch.positions] == good
    assert [int(name) for batch in batches for name in batch.ids] == good
    for batch in batches:
        assert batch.images.shape[0] == len(batch.ids) == len(batch.content_keys) > 0
        for position, image, key in zip(batch.positions, batch.images, batch.content_keys, strict=True):
            assert int(image[0, 0, 0]) == 10 * position
            assert key == hashlib.sha256(pairs[position][1].path.read_bytes()).digest()
    assert (report.decoded, report.skipped, report.replaced) == (10, 3, 0)
    assert [int(problem[0]) for problem in report.problems] == list(BAD)
    assert "empty" in report.problems[1][2]


def test_a_batch_of_bad_images_only_is_left_out(folder):
    pairs = [pair for pair in refs(folder / "bad") if int(pair[0]) in BAD]
    assert list(ImageStream(pairs, SMALL, 2, on_bad_image="skip")) == []


def test_replace_gives_grey_under_its_own_key(folder):
    report = DecodeReport()
    (batch,) = ImageStream(refs(folder / "bad"), SMALL, 13, on_bad_image="replace", report=report)
    assert batch.positions == list(range(13))
    for position in range(13):
        is_grey = bool((batch.images[position] == GREY).all())
        assert is_grey == (position in BAD)
        assert (batch.content_keys[position] == REPLACED_KEY) == (position in BAD)
    assert (report.decoded, report.skipped, report.replaced) == (10, 0, 3)


def test_raise_names_the_first_bad_sample_after_the_good_batches(folder):
    seen = []
    with pytest.raises(ImageDecodeError, match=r"record '03' .*03\.png"):
        for batch in ImageStream(refs(folder / "bad"), SMALL, 3):
            seen += batch.ids
    assert seen == ["00", "01", "02"]
    assert decoding_threads() == []


def test_other_errors_surface_with_the_sample_named(folder, monkeypatch):
    def broken(*arguments):
        raise MemoryError("no memory")

    monkeypatch.setattr(stream, "write_preprocessed", broken)
    with pytest.raises(MemoryError) as caught:
        list(ImageStream(refs(folder / "good"), SMALL, on_bad_image="skip"))
    assert "record '00'" in caught.value.__notes__[0]


def test_endless_input_is_read_a_few_batches_ahead_only(folder):
    taken = 0

    def endless():
        nonlocal taken
        for pair in itertools.cycle(refs(folder / "good")):
            taken += 1
            yield pair

    iterator = iter(ImageStream(endless(), SMALL, 4, 2))
    for number in range(1, 6):
        next(iterator)
        assert taken <= 4 * (number + stream._LOOK_AHEAD)
    iterator.close()
    assert decoding_threads() == []


def test_a_loop_that_is_left_ends_the_threads(folder):
    for _ in ImageStream(itertools.cycle(refs(folder / "good")), SMALL, 2):
        assert decoding_threads() != []
        break
    assert decoding_threads() == []


def test_an_error_of_the_input_surfaces(folder):
    def failing():
        yield from refs(folder / "good")[:2]
        raise OSError("the shard is gone")

    with pytest.raises(OSError, match="shard"):
        list(ImageStream(failing(), SMALL, 4))
    assert decoding_threads() == []


def test_windows_of_one_file_have_different_keys(folder):
    path = folder / "good" / "00.png"
    data = path.read_bytes()
    whole, left, right = ImageRef(path), ImageRef(path, window=(0, 0, 5, 5)), ImageRef(path, window=(5, 0, 5, 5))
    keys = {content_key(data, ref) for ref in (whole, left, right)}
    assert len(keys) == 3
    assert content_key(data, whole) == hashlib.sha256(data).digest()


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"workers": 0}, {"on_bad_image": "ignore"}])
def test_options_that_cannot_be_used(arguments):
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        ImageStream([], SMALL, **arguments)


def test_real_photos(data_root):
    paths = sorted((data_root / "general" / "flickr8k" / "images").glob("*.jpg"))[:70]
    preprocess = ImagePreprocess(size=(64, 64), resize_to=72)
    batches = list(ImageStream(((path.name, ImageRef(path)) for path in paths), preprocess, 32))
    assert [len(batch.ids) for batch in batches] == [32, 32, 6]
    images = torch.cat([batch.images for batch in batches])
    last = np.asarray(Image.open(paths[-1]).convert("RGB"))
    assert torch.equal(images[-1], apply_preprocess(last, preprocess))
