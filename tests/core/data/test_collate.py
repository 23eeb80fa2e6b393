import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from vlcore.data.batch_order import Draw
from vlcore.data.collate import LoadedPairBatch, PairCollate, PixelReader
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.pairs import PairTable
from vlcore.data.random_state import seeded
from vlcore.data.record import ImageRef, Record, Text
from vlcore.data.stream import GREY
from vlcore.data.transform import apply_preprocess
from vlcore.types import ImagePreprocess, TokenBatch

PREPROCESS = ImagePreprocess(size=(8, 8), resize="squash")


class Letters:
    """A token for each letter."""

    context_length = 9

    def __call__(self, texts):
        longest = max(map(len, texts), default=0)
        ids = torch.tensor([[*map(ord, text), *[0] * (longest - len(text))] for text in texts]).reshape(-1, longest)
        return TokenBatch(ids, (ids > 0).long(), torch.zeros(len(texts), dtype=torch.bool))


@pytest.fixture
def table(tmp_path):
    """Three images of noise; the second has two captions."""
    noise = np.random.default_rng(0)
    records = []
    for number, texts in enumerate((["a"], ["bb", "ccc"], ["dddd"])):
        path = tmp_path / f"{number}.png"
        Image.fromarray(noise.integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
        records.append(Record(id=f"r{number}", image=ImageRef(path), texts=tuple(map(Text, texts))))
    return PairTable.from_records(records)


def draw(pairs, epoch=0):
    return Draw(epoch, np.array(pairs, dtype=np.int64))


def state():
    return random.getstate()[1], tuple(np.random.get_state()[1]), torch.random.get_rng_state().tolist()


class AllGenerators(torch.nn.Module):
    """Draws from the generators of Python, NumPy and PyTorch."""

    def forward(self, image):
        shift = random.randrange(60) + np.random.randint(60) + int(torch.randint(60, ()))
        return (image.int() + shift).clamp(0, 255).to(torch.uint8)


# Random numbers


def test_seeded_numbers_depend_on_what_they_are_seeded_with_and_leave_no_trace():
    def numbers():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    before = state()
    seen = {}
    for given in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**40, 3, 0)):
        with seeded(*given):
            seen[given] = numbers()
        with seeded(*given):
            assert numbers() == seen[given]
    assert len({values for several in seen.values() for values in several}) == 3 * len(seen)
    with pytest.raises(KeyError), seeded(5):
        numbers()
        raise KeyError
    assert state() == before


@pytest.mark.parametrize(
    "augment", [AllGenerators(), v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(8), v2.ColorJitter(0.5)])]
)
def test_augmentation_depends_on_seed_epoch_and_pair_and_on_nothing_else(table, augment):
    def images(pairs, epoch=0, seed=0):
        return PairCollate(table, PixelReader(table, PREPROCESS, augment, seed=seed), Letters())(draw(pairs, epoch))

    before = state()
    together = images([0, 1, 2, 3]).images
    assert state() == before
    # Neither the other pairs of a batch, nor their order, nor what the process did before.
    torch.manual_seed(99)
    for pair in range(4):
        assert torch.equal(images([pair]).images[0], together[pair])
    assert torch.equal(images([3, 1]).images, together[[3, 1]])
    # Two captions of one image see it differently, as do epochs and seeds.
    assert not torch.equal(together[1], together[2])
    assert not torch.equal(images([0, 1, 2, 3], epoch=1).images, together)
    assert not torch.equal(images([0, 1, 2, 3], seed=1).images, together)


# Batches


def test_files_and_texts_become_a_batch(table):
    batch = PairCollate(table, PixelReader(table, PREPROCESS), Letters())(draw([0, 2, 1]))
    assert isinstance(batch, LoadedPairBatch)
    assert batch.image_index.tolist() == [0, 1, 1]
    assert batch.text_key.tolist() == table.text_key[[0, 2, 1]].tolist()
    for row, image in enumerate((0, 1, 1)):
        pixels = np.asarray(Image.open(table.images[image].path))
        assert torch.equal(batch.images[row], apply_preprocess(pixels, PREPROCESS))
    assert batch.images.dtype == torch.uint8
    assert batch.input_ids.tolist() == [[97, 0, 0], [99, 99, 99], [98, 98, 0]]
    assert batch.text_lengths == (1, 3, 2)
    # An image with two captions is decoded once.
    assert (batch.decoded, batch.bad) == (2, ())


@pytest.mark.parametrize("on_disk", [False, True])
def test_cached_features_are_gathered(table, tmp_path, on_disk):
    images, texts = (np.random.default_rng(s).normal(size=(n, 3)).astype("<f4") for s, n in ((0, 3), (1, 4)))
    sides = []
    for name, values in (("images", images), ("texts", texts)):
        (tmp_path / name).write_bytes(values.tobytes())
        sides.append(FeatureRows(tmp_path / name, 3, np.arange(len(values))) if on_disk else values)
    collate = PairCollate(table, *sides)
    assert collate.cached
    batch = collate(draw([3, 0, 1]))
    assert torch.equal(batch.image_features, torch.from_numpy(images[[2, 0, 1]]))
    assert torch.equal(batch.text_features, torch.from_numpy(texts[[3, 0, 1]]))
    assert batch.images is batch.input_ids is batch.text_lengths is None
    assert not PairCollate(table, sides[0], Letters()).cached
    assert not PairCollate(table, PixelReader(table, PREPROCESS), sides[1]).cached


def test_a_bad_image_is_left_out_with_its_texts_and_reported(table):
    Path(table.images[1].path).write_bytes(b"no image")
    texts = np.arange(8, dtype=np.float32).reshape(4, 2)
    augment = v2.RandomHorizontalFlip()
    batch = PairCollate(table, PixelReader(table, PREPROCESS, augment, "skip"), texts)(draw([0, 1, 2, 3]))
    assert batch.image_index.tolist() == [0, 2]
    assert batch.text_features.tolist() == texts[[0, 3]].tolist()
    assert batch.decoded == 2
    assert [(name, Path(place).name) for name, place, _ in batch.bad] == [("r1", "1.png")]
    alone = PairCollate(table, PixelReader(table, PREPROCESS, augment, "skip"), texts)(draw([1, 2]))
    assert len(alone) == 0 and alone.images.shape == (0, 3, 8, 8)


@pytest.mark.parametrize("augment", [None, v2.ColorJitter(0.5)])
def test_a_bad_image_is_replaced_by_plain_grey(table, augment):
    Path(table.images[1].path).write_bytes(b"no image")
    batch = PairCollate(table, PixelReader(table, PREPROCESS, augment, "replace"), Letters())(draw([0, 1]))
    assert batch.image_index.tolist() == [0, 1]
    assert (batch.images[1] == GREY).all()
    assert len(batch.bad) == 1


def test_a_batch_keeps_its_counts_when_it_is_pinned_and_loses_them_on_the_device(table):
    batch = PairCollate(table, PixelReader(table, PREPROCESS), Letters())(draw([0, 1]))
    moved = batch.to("cpu")
    assert not isinstance(moved, LoadedPairBatch)
    assert torch.equal(moved.images, batch.images) and moved.text_lengths == batch.text_lengths
