"""The anchor against slow references."""

from __future__ import annotations

import math

import pytest
import torch

from vlcore_remote_sensing.objectives.embedding_anchor import embedding_anchor


def unit(rows, seed):
    values = torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(values, dim=1)


def divergence(now, before, scale):
    total = 0.0
    for i in range(len(now)):
        others = [j for j in range(len(now)) if j != i]
        p, q = ([math.exp(scale * float(side[i] @ side[j])) for j in others] for side in (before, now))
        p, q = ([value / sum(side) for value in side] for side in (p, q))
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(now)


def test_squared_distance_is_the_mean_over_images():
    now, before = unit(5, 0), unit(5, 1)
    expected = sum(float(((now[i] - before[i]) ** 2).sum()) for i in range(5)) / 5
    assert float(embedding_anchor("squared_distance", now, before, 10.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rows", [3, 6])
def test_divergence_is_that_of_a_slow_reference(rows):
    now, before = unit(rows, 0), unit(rows, 1)
    value = float(embedding_anchor("similarity_divergence", now, before, 10.0))
    assert value == pytest.approx(divergence(now, before, 10.0), rel=1e-10)


@pytest.mark.parametrize("name", ["squared_distance", "similarity_divergence"])
def test_nothing_is_lost_where_both_agree_and_the_base_gets_no_gradient(name):
    now, before = unit(5, 0).requires_grad_(), unit(5, 1).requires_grad_()
    assert float(embedding_anchor(name, now, now, 10.0)) == pytest.approx(0.0, abs=1e-12)
    embedding_anchor(name, now, before, 10.0).backward()
    assert now.grad is not None and before.grad is None


def test_divergence_lets_the_space_turn_and_squared_distance_does_not():
    now = unit(5, 0)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    assert float(embedding_anchor("similarity_divergence", now @ turn, now, 10.0)) == pytest.approx(0.0, abs=1e-10)
    assert float(embedding_anchor("squared_distance", now @ turn, now, 10.0)) > 0.1


def test_two_images_have_a_divergence_of_zero_with_a_gradient():
    now = unit(2, 0).requires_grad_()
    embedding_anchor("similarity_divergence", now, unit(2, 1), 10.0).backward()
    assert now.grad is not None and not now.grad.any()
