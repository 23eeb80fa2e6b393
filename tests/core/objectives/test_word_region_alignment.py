"""Optimal transport of words to regions, against the exact solution."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.word_region_alignment import word_region_alignment, word_region_transport

ot = pytest.importorskip("ot", reason="POT is not installed")


def sides(words: int, regions: int, seed: int, width: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        normalize(torch.randn(1, count, width, generator=generator, dtype=torch.float64), dim=-1)
        for count in (words, regions)
    )


def whole(states: torch.Tensor) -> torch.Tensor:
    return torch.ones(states.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize(("words", "regions"), [(5, 7), (12, 10), (20, 36), (1, 9), (8, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_plan_and_cost_are_those_of_the_exact_transport(words, regions, seed):
    text, image = sides(words, regions, seed)
    found = word_region_transport(text, whole(text), image, whole(image))
    distance = (1 - text[0] @ image[0].T).numpy()
    exact = ot.emd2(ot.unif(words), ot.unif(regions), distance)
    assert float(found.cost) == pytest.approx(exact, rel=0.01)
    plan = found.plan[0]
    assert torch.allclose(plan.sum(1), torch.full((words,), 1 / words, dtype=torch.float64), rtol=5e-3)
    assert torch.allclose(plan.sum(0), torch.full((regions,), 1 / regions, dtype=torch.float64), rtol=5e-3)


def test_padding_changes_nothing_and_carries_nothing():
    text, image = sides(6, 9, 0)
    alone = word_region_transport(text, whole(text), image, whole(image))
    padded = [torch.cat([side, torch.randn(1, 4, 16, dtype=torch.float64)], dim=1) for side in (text, image)]
    masks = [torch.cat([whole(side), torch.zeros(1, 4, dtype=torch.bool)], dim=1) for side in (text, image)]
    found = word_region_transport(padded[0], masks[0], padded[1], masks[1])
    assert torch.allclose(found.cost, alone.cost, atol=1e-12)
    assert torch.allclose(found.plan[:, :6, :9], alone.plan, atol=1e-12)
    assert found.plan[:, 6:].abs().sum() == 0 and found.plan[:, :, 9:].abs().sum() == 0


def test_a_set_and_a_permutation_of_it_are_near():
    text, _ = sides(12, 3, 0)
    moved = text[:, torch.randperm(12)]
    assert float(word_region_transport(text, whole(text), moved, whole(moved)).cost) < 1e-3


def test_a_pair_without_regions_costs_nothing_and_is_no_nan():
    text, image = sides(4, 5, 0)
    text.requires_grad_()
    found = word_region_transport(text, whole(text), image, ~whole(image))
    found.cost.sum().backward()
    assert float(found.cost) == 0 and torch.isfinite(text.grad).all()


def test_gradients_pass_through_the_distances_with_the_plan_held_fast():
    text, image = sides(4, 5, 0)
    text.requires_grad_()
    found = word_region_transport(text, whole(text), image, whole(image))
    assert not found.plan.requires_grad
    (gradient,) = torch.autograd.grad(found.cost.sum(), text)
    again = text.detach().clone().requires_grad_()
    fixed = (found.plan * (1 - normalize(again, dim=-1) @ image.transpose(1, 2))).sum()
    assert torch.allclose(gradient, torch.autograd.grad(fixed, again)[0], atol=1e-12)


def test_half_precision_is_computed_in_float32():
    text, image = sides(6, 9, 1)
    half = word_region_transport(text.bfloat16(), whole(text), image.bfloat16(), whole(image))
    assert half.cost.dtype == torch.float32
    assert float(half.cost) == pytest.approx(
        float(word_region_transport(text, whole(text), image, whole(image)).cost), abs=0.01
    )


def test_matches_shall_cost_little_and_others_much():
    cost = torch.tensor([0.2, 0.5, 0.9])
    found = word_region_alignment(cost, torch.tensor([True, False, False]))
    assert float(found) == pytest.approx((0.2 - 0.5 - 0.9) / 3)
