from collections import Counter

import numpy as np
import pytest

from vlcore.data import batch_order
from vlcore.data.batch_order import PairOrder
from vlcore.data.pairs import PairTable
from vlcore.errors import ConfigurationError


def table(captions, ids=None):
    """A table of images with so many captions each; the texts are all different."""
    texts = [f"text {image}.{number}" for image, count in enumerate(captions) for number in range(count)]
    images = np.repeat(np.arange(len(captions)), captions)
    names = [f"image {image}" for image in range(len(captions))] if ids is None else ids
    return PairTable(names, [], texts, images.astype(np.int64), np.arange(len(texts), dtype=np.int64))


def order(pairs, batch_size, **options):
    return PairOrder(pairs, batch_size, **{"shuffle": True, **options})


def lengths_of(count):
    return np.random.default_rng(5).integers(3, 70, count)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(batch_order, "BLOCK_PAIRS", 8)
    monkeypatch.setattr(batch_order, "WINDOW_BLOCKS", 2)
    monkeypatch.setattr(batch_order, "POOL_BATCHES", 5)


ARRANGEMENTS = ["rows", "blocks", "lengths"]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_training_reads_no_pair_twice_and_leaves_out_only_what_fills_no_batch(small_blocks, arrangement, world_size):
    pairs = table([1] * 101)
    ranks = [
        order(
            pairs,
            5,
            arrangement=arrangement,
            lengths=lengths_of(101),
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    left_out = []
    for epoch in range(3):
        parts = [one.batches(epoch) for one in ranks]
        steps = 101 // (5 * world_size)
        assert [len(part) for part in parts] == [steps] * world_size == [len(one) for one in ranks]
        assert {len(batch) for part in parts for batch in part} == {5}
        read = np.concatenate([batch for part in parts for batch in part])
        assert len(read) == len(set(read.tolist())) == steps * 5 * world_size
        left_out.append(frozenset(range(101)) - set(read.tolist()))
    assert len(set(left_out)) == 3


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_an_epoch_is_the_same_whenever_it_is_asked_for_and_no_two_are_alike(small_blocks, arrangement):
    options = {"arrangement": arrangement, "lengths": lengths_of(64)}
    pairs = table([2] * 32)
    first = order(pairs, 4, **options)
    later = order(pairs, 4, **options).batches(3)
    for batches in (first.batches(0), first.batches(1)):
        assert not all(np.array_equal(a, b) for a, b in zip(batches, later, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first.batches(3), later, strict=True))
    other = order(pairs, 4, seed=1, **options).batches(3)
    assert not all(np.array_equal(a, b) for a, b in zip(other, later, strict=True))


def test_the_order_of_pairs_is_even_over_epochs():
    # Two hundred epochs of four pairs in four batches: every pair stands at every place about equally often.
    one = order(table([1] * 4), 1)
    places = Counter((place, int(batch[0])) for epoch in range(200) for place, batch in enumerate(one.batches(epoch)))
    assert set(places) == {(place, pair) for place in range(4) for pair in range(4)}
    assert max(abs(count - 50) for count in places.values()) < 25


def test_batches_by_length_are_alike_within_on_every_process_and_hold_the_pairs_of_rows():
    pairs, lengths = table([1] * 1000), lengths_of(1000)
    by_length = [order(pairs, 10, arrangement="lengths", lengths=lengths, rank=r, world_size=2) for r in (0, 1)]
    by_rows = [order(pairs, 10, rank=r, world_size=2) for r in (0, 1)]
    padding = {}
    for name, ranks in (("lengths", by_length), ("rows", by_rows)):
        batches = [one.batches(0) for one in ranks]
        padding[name] = sum(int(lengths[b].max()) * len(b) for part in batches for b in part)
        if name == "lengths":
            apart = [abs(int(lengths[a].max()) - int(lengths[b].max())) for a, b in zip(*batches, strict=True)]
            assert max(apart) <= 3
            # Short and long batches come mixed, not one after the other.
            longest = [int(lengths[batch].max()) for batch in batches[0]]
            assert longest != sorted(longest)
        chosen = {int(pair) for part in batches for batch in part for pair in batch}
        padding[name + " pairs"] = chosen
    assert padding["lengths pairs"] == padding["rows pairs"]
    assert padding["lengths"] < 0.65 * padding["rows"]
    assert padding["lengths"] < 1.06 * lengths.sum()


def test_blocks_keep_neighbours_together_and_mix_blocks(small_blocks):
    one = order(table([1] * 160), 16, arrangement="blocks")
    for batch in one.batches(0):
        # A window of two blocks of eight is one batch: two runs of neighbours, in ascending order.
        assert (np.diff(batch) > 0).all()
        assert len(set((batch // 8).tolist())) == 2
    blocks = [tuple(sorted(set((batch // 8).tolist()))) for epoch in (0, 1) for batch in one.batches(epoch)]
    assert len(set(blocks)) > 10
    # Batches smaller than a window are cut from the mixed blocks.
    small = order(table([1] * 160), 4, arrangement="blocks").batches(0)
    assert all(len(set((batch // 8).tolist())) <= 2 for batch in small)
    assert any((np.diff(batch) > 1).any() for batch in small)


def test_one_caption_of_each_image_is_drawn_anew_and_evenly():
    pairs = table([1, 3, 2])
    seen = Counter()
    for epoch in range(300):
        drawn = np.concatenate(order(pairs, 1, captions="sample").batches(epoch))
        assert sorted(pairs.image_of_text[drawn].tolist()) == [0, 1, 2]
        seen.update(drawn.tolist())
    assert seen[0] == 300
    assert all(abs(seen[pair] - 100) < 30 for pair in (1, 2, 3))
    assert all(abs(seen[pair] - 150) < 35 for pair in (4, 5))


def test_images_without_a_text_are_passed_over():
    pairs = PairTable(["a", "b", "c"], [], ["x", "y"], np.array([0, 2]), np.array([1, 2]))
    assert np.concatenate(order(pairs, 1, captions="sample").batches(0)).tolist() in ([0, 1], [1, 0])


@pytest.mark.parametrize(("pairs", "world_size"), [(17, 1), (17, 2), (16, 2), (3, 2), (5, 4), (9, 4)])
def test_evaluation_reads_every_pair_once_in_equally_many_batches(pairs, world_size):
    ranks = [
        PairOrder(table([1] * pairs), 4, shuffle=False, arrangement="blocks", rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    parts = [one.batches(0) for one in ranks]
    assert len({len(part) for part in parts}) == 1
    assert [len(one) for one in ranks] == [len(part) for part in parts]
    assert all(1 <= len(batch) <= 4 for part in parts for batch in part)
    assert sorted(np.concatenate([batch for part in parts for batch in part]).tolist()) == list(range(pairs))
    if world_size == 1:
        assert np.concatenate(parts[0]).tolist() == list(range(pairs))


def test_fewer_pairs_than_a_batch_make_one_smaller_batch():
    parts = [order(table([1] * 7), 8, rank=rank, world_size=2).batches(0) for rank in (0, 1)]
    assert [[len(batch) for batch in part] for part in parts] == [[3], [3]]
    assert len(order(table([1]), 8).batches(0)[0]) == 1


def test_what_cannot_be_arranged_is_refused():
    with pytest.raises(ConfigurationError, match=r"2 pairs for 3 processes.*fewer processes"):
        order(table([1, 1]), 1, world_size=3)
    with pytest.raises(ConfigurationError, match="1 pairs for 2 processes"):
        PairOrder(table([5]), 1, captions="sample", shuffle=False, world_size=2)
    with pytest.raises(ConfigurationError, match="only where lengths are given"):
        order(table([1, 1]), 1, arrangement="lengths")


def test_facts_tell_every_difference_and_nothing_of_the_rank():
    pairs = table([2, 1])

    def facts(given=pairs, batch_size=1, **options):
        return order(given, batch_size, **options).facts()

    base = facts()
    assert all(isinstance(value, str | int) for value in base.values())
    assert facts(rank=1, world_size=2) == facts(rank=0, world_size=2)
    renamed = table([2, 1], ids=["image 0", "other"])
    reworded = PairTable(pairs.ids, [], ["Text 0.0", *pairs.texts[1:]], pairs.image_of_text, pairs.text_key)
    differences = {
        "content of the pairs": [facts(renamed), facts(reworded), facts(table([1, 2]))],
        "batch size": [facts(batch_size=2)],
        "captions": [facts(captions="sample")],
        "arrangement": [facts(arrangement="blocks")],
        "seed": [facts(seed=1)],
        "number of processes": [facts(world_size=2)],
    }
    for name, changed in differences.items():
        for one in changed:
            assert {key for key in base if one[key] != base[key]} == {name}
    assert facts(table([2, 2]))["pairs"] == 4


@pytest.mark.parametrize("arrangement", ["rows", "blocks", "lengths"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_two_captions_of_an_image_share_a_batch_and_a_process(arrangement, world_size):
    counts = np.array([1, 2, 3, 5] * 10)
    image_of_text = np.repeat(np.arange(len(counts)), counts)
    table = PairTable(
        [str(number) for number in range(len(counts))],
        [],
        [f"text {number}" for number in range(counts.sum())],
        image_of_text,
        np.arange(counts.sum()),
    )
    lengths = np.random.default_rng(0).integers(3, 20, len(table))
    orders = [
        PairOrder(
            table, 8, "two", shuffle=True, arrangement=arrangement, lengths=lengths, rank=rank, world_size=world_size
        )
        for rank in range(world_size)
    ]
    seen = []
    for epoch in range(6):
        images = []
        for order in orders:
            batches = order.batches(epoch)
            assert len(batches) == len(order) and all(len(batch) == 8 for batch in batches)
            for batch in batches:
                found, times = np.unique(image_of_text[batch], return_counts=True)
                assert (times == 2).all()
                images += found.tolist()
                for image in found:
                    first, second = batch[image_of_text[batch] == image]
                    assert (first == second) == (counts[image] == 1)
                    seen.append((int(first), int(second)))
        assert len(images) == len(set(images))
    # Over the epochs every caption comes up.
    assert len({caption for pair in seen for caption in pair}) > 0.8 * len(table)


def test_two_captions_need_an_even_batch():
    table = PairTable(["a"], [], ["x", "y"], np.zeros(2, np.int64), np.arange(2))
    with pytest.raises(ConfigurationError, match="batch_size=7: choose an even number"):
        PairOrder(table, 7, "two", shuffle=True)
