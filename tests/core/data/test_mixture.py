import numpy as np
import pytest
import torch

from vlcore.data.batch_order import Draw, PairOrder
from vlcore.data.mixture import ChainedOrder, MixtureCollate, MixtureOrder
from vlcore.data.pairs import PairTable
from vlcore.types import PairBatch

SIZES = {"large": 50, "small": 7}


def table(pairs):
    numbers = np.arange(pairs, dtype=np.int64)
    return PairTable([str(number) for number in numbers], [], [""] * pairs, numbers, numbers)


def orders(rank=0, world_size=1, shuffle=True):
    return {
        name: PairOrder(table(size), 2, shuffle=shuffle, seed=5, rank=rank, world_size=world_size)
        for name, size in SIZES.items()
    }


def mixture(probabilities=(0.7, 0.3), steps=20, seed=0, **options):
    return MixtureOrder(orders(**options), probabilities, steps, seed)


def as_lists(draws):
    return [(draw.epoch, draw.pairs.tolist(), draw.dataset) for draw in draws]


def test_data_sets_are_drawn_with_their_probabilities():
    order = mixture(steps=2000)
    share = np.mean([draw.dataset == 0 for epoch in range(3) for draw in order.draws(epoch)])
    assert share == pytest.approx(0.7, abs=0.02)


def test_batches_are_those_of_the_data_sets_in_their_own_passes_across_epochs():
    order, parts = mixture(), list(orders().values())
    seen = {0: [], 1: []}
    for epoch in range(6):
        draws = order.draws(epoch)
        assert len(draws) == 20
        for draw in draws:
            seen[draw.dataset].append((draw.epoch, draw.pairs.tolist()))
    for dataset, part in enumerate(parts):
        expected = [(number, batch.tolist()) for number in range(30) for batch in part.batches(number)]
        assert seen[dataset] == expected[: len(seen[dataset])]
        # The small data set has come round several times.
        assert len(seen[dataset]) > len(part) * (1 if dataset == 0 else 5)


def test_an_epoch_does_not_depend_on_which_were_asked_for_before():
    straight, back = mixture(), mixture()
    expected = [as_lists(straight.draws(epoch)) for epoch in range(5)]
    assert [as_lists(back.draws(epoch)) for epoch in (4, 0, 3, 3)] == [expected[epoch] for epoch in (4, 0, 3, 3)]
    assert expected[0] != expected[1]
    assert as_lists(mixture(seed=1).draws(0)) != expected[0]


def test_all_processes_draw_the_same_data_sets_and_share_each_batch():
    first, second = (mixture(rank=rank, world_size=2) for rank in (0, 1))
    for epoch in range(4):
        for one, other in zip(first.draws(epoch), second.draws(epoch), strict=True):
            assert one.dataset == other.dataset and one.epoch == other.epoch
            assert len(one.pairs) == len(other.pairs) == 2
            assert not set(one.pairs.tolist()) & set(other.pairs.tolist())


def test_facts_change_with_whatever_changes_the_batches():
    facts = mixture().facts()
    assert facts["batch size of 'large'"] == 2
    changed = [mixture(probabilities=(0.6, 0.4)), mixture(steps=21), mixture(seed=1), mixture(world_size=2)]
    assert all(other.facts() != facts for other in changed)
    assert mixture().facts() == facts


def test_evaluation_reads_every_pair_of_every_data_set_once():
    chain = ChainedOrder(dict(enumerate(orders(shuffle=False).values())))
    read = {0: [], 1: []}
    for draw in chain.draws(0):
        read[draw.dataset] += draw.pairs.tolist()
    assert read == {0: list(range(50)), 1: list(range(7))}


def test_a_batch_knows_its_data_set_through_every_copy():
    def part(draw):
        return PairBatch(torch.tensor(draw.pairs), torch.tensor(draw.pairs))

    batch = MixtureCollate({0: part, 1: part})(Draw(0, np.arange(3), 1))
    assert batch.dataset == 1
    assert batch.to("cpu").dataset == 1
