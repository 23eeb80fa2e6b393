"""What the assignments keep whatever the scores are; their values are compared in `test_assignment_prediction`."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.sinkhorn import sinkhorn


def cosines(items=64, prototypes=16, width=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sides = (torch.randn(rows, width, generator=generator, dtype=torch.float64) for rows in (items, prototypes))
    image, words = (normalize(side, dim=1) for side in sides)
    return image @ words.T


def worst_share(assigned, prior):
    """Largest relative error of what a prototype gets."""
    return float((assigned.sum(0) / (len(assigned) * prior) - 1).abs().max())


def by_scaling_a_table(scores, epsilon, iterations, prior):
    """The same with factors of rows and columns of a table of exponentials, as Sinkhorn and Knopp wrote it."""
    table = ((scores - scores.max()) / epsilon).exp()
    rows = torch.ones(len(table), dtype=torch.float64)
    for _ in range(iterations):
        columns = len(table) * prior / (rows @ table)
        rows = 1 / (table @ columns)
    return rows[:, None] * table * columns


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_in_the_logarithm_it_is_what_scaling_a_table_gives(epsilon, iterations):
    prior = torch.softmax(torch.arange(16, dtype=torch.float64) / 5, 0)
    expected = by_scaling_a_table(cosines(), epsilon, iterations, prior)
    assert torch.allclose(sinkhorn(cosines(), epsilon, iterations, prior), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_shares_follow_the_prior_at_the_epsilon_in_use_and_three_iterations_are_not_enough_for_it(skew):
    prior = torch.softmax(skew * torch.linspace(0, 2, 16, dtype=torch.float64), 0)
    errors = [worst_share(sinkhorn(cosines(), 0.01, iterations, prior), prior) for iterations in (3, 1000)]
    assert errors[0] > 0.1 and errors[1] < 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_scores_of_any_size_and_precision_give_whole_assignments(dtype):
    # exp(100 / 0.01) is beyond every floating type.
    assigned = sinkhorn((100 * cosines()).to(dtype), 0.01, 3)
    assert assigned.dtype == torch.float32
    assert torch.isfinite(assigned).all() and (assigned >= 0).all()
    assert torch.allclose(assigned.sum(1), torch.ones(64), atol=1e-5)


def test_float64_is_kept_and_close_to_float32():
    exact = sinkhorn(cosines(), 0.05, 3)
    assert exact.dtype == torch.float64
    assert torch.allclose(sinkhorn(cosines().float(), 0.05, 3).double(), exact, atol=1e-4)


def test_no_gradient_passes_and_the_scores_stay_as_they_are():
    scores = cosines().requires_grad_()
    before = scores.detach().clone()
    assert not sinkhorn(scores, 0.05, 3).requires_grad
    assert torch.equal(scores.detach(), before)


def test_what_all_scores_of_a_prototype_have_in_common_changes_nothing():
    # A prototype's share is given, so being near to everything gains it nothing.
    expected = sinkhorn(cosines(), 0.05, 3)
    assert torch.allclose(sinkhorn(cosines() + torch.linspace(-2, 2, 16), 0.05, 3), expected, rtol=1e-6)


def test_what_all_scores_of_an_item_have_in_common_is_forgotten_in_the_end():
    # Not at once: prototypes are scaled first, when such an item still weighs more than others.
    moved = cosines() + torch.linspace(-2, 2, 64)[:, None]
    first, last = (
        float((sinkhorn(moved, 0.05, steps) - sinkhorn(cosines(), 0.05, steps)).abs().max()) for steps in (3, 1000)
    )
    assert first > 1e-2 and last < 1e-6


def test_order_changes_nothing():
    prior = torch.softmax(torch.linspace(0, 1, 16, dtype=torch.float64), 0)
    generator = torch.Generator().manual_seed(1)
    items, words = torch.randperm(64, generator=generator), torch.randperm(16, generator=generator)
    moved = sinkhorn(cosines()[items][:, words], 0.05, 3, prior[words])
    assert torch.allclose(moved, sinkhorn(cosines(), 0.05, 3, prior)[items][:, words], rtol=1e-6)


def test_equal_scores_give_everyone_the_prior():
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assigned = sinkhorn(torch.zeros(7, 3, dtype=torch.float64), 0.01, 1, prior)
    assert torch.allclose(assigned, prior.expand(7, 3), rtol=1e-6)


def test_one_item_takes_the_prior_and_one_prototype_takes_every_item():
    prior = torch.softmax(torch.linspace(0, 1, 16, dtype=torch.float64), 0)
    assert torch.allclose(sinkhorn(cosines(items=1), 0.01, 3, prior), prior[None], rtol=1e-6)
    assert torch.allclose(sinkhorn(cosines(prototypes=1), 0.01, 3), torch.ones(64, 1, dtype=torch.float64), rtol=1e-6)


def test_a_prototype_without_a_share_gets_nothing():
    prior = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    assigned = sinkhorn(cosines(prototypes=4), 0.05, 50, prior)
    assert not assigned[:, 3].any()
    assert torch.allclose(assigned[:, :3], sinkhorn(cosines(prototypes=4)[:, :3], 0.05, 50, prior[:3]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"iterations": 0}, "iterations 0: both must be positive"),
        ({"prior": torch.ones(1)}, r"prior has shape \(1,\): give one share per prototype, \[16\]"),
    ],
)
def test_options_that_cannot_be_used_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn(cosines(), **options)
