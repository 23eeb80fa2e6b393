"""Centred kernel alignment against its definition by Gram matrices."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics.cka import linear_cka


def plain(x, y):
    """By centred Gram matrices."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, g = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return np.trace(k @ g) / np.sqrt(np.trace(k @ k) * np.trace(g @ g))


def unbiased(x, y):
    """By the estimator of Song et al. (JMLR 2012), eq. 5, with the Gram matrices written down."""

    def hsic(k, g):
        k, g = k - np.diag(np.diag(k)), g - np.diag(np.diag(g))
        n, one = len(k), np.ones(len(k))
        return (
            np.trace(k @ g)
            + (one @ k @ one) * (one @ g @ one) / ((n - 1) * (n - 2))
            - 2 * (one @ k @ g @ one) / (n - 2)
        )

    x, y = x - x.mean(0), y - y.mean(0)
    k, g = x @ x.T, y @ y.T
    return hsic(k, g) / np.sqrt(hsic(k, k) * hsic(g, g))


@pytest.fixture
def sides():
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 6)) + 5
    return x, np.tanh(x @ random.normal(size=(6, 9))) + 0.3 * random.normal(size=(30, 9))


def test_it_is_what_the_definitions_say(sides):
    assert linear_cka(*sides, debiased=False) == pytest.approx(plain(*sides), rel=1e-10)
    assert linear_cka(*sides) == pytest.approx(unbiased(*sides), rel=1e-10)


@pytest.mark.parametrize("debiased", [True, False])
def test_rotation_scale_and_shift_change_nothing(sides, debiased):
    x, y = sides
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    assert linear_cka(x, 3 * x @ rotation + 7, debiased=debiased) == pytest.approx(1, abs=1e-10)
    before = linear_cka(x, y, debiased=debiased)
    assert linear_cka(x @ rotation, 0.1 * y - 4, debiased=debiased) == pytest.approx(before, rel=1e-9)
    assert linear_cka(y, x, debiased=debiased) == pytest.approx(before, rel=1e-12)


def test_features_that_have_nothing_to_do_with_each_other_are_near_zero_and_plain_cka_is_not():
    random = np.random.default_rng(2)
    x, y = random.normal(size=(60, 200)), random.normal(size=(60, 300))
    assert abs(linear_cka(x, y)) < 0.05
    assert linear_cka(x, y, debiased=False) > 0.5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 2)), "needs at least 4 rows"),
        (np.zeros(8), "needs at least 4 rows"),
        (np.zeros((8, 0)), "needs at least 4 rows"),
        (np.ones((8, 2)), "All rows of x are the same"),
        # Its mean is not exactly 0.1.
        (np.full((8, 2), 0.1) + np.array([0.0, 1e6]), "All rows of x are the same"),
        (np.full((8, 2), np.nan), "x has NaN or infinite values in row 0"),
        (np.eye(9), "x has 9 rows and y has 8"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(x, message):
    with pytest.raises(EvaluationError, match=message):
        linear_cka(x, np.random.default_rng(0).normal(size=(8, 3)))


@pytest.mark.parametrize("size", [1e-120, 1e120])
def test_no_scale_overflows(sides, size):
    x, y = sides
    assert linear_cka(size * x, y) == pytest.approx(linear_cka(x, y), rel=1e-9)


def test_rows_that_are_all_equally_far_apart_have_no_debiased_value():
    y = np.random.default_rng(0).normal(size=(8, 3))
    with pytest.raises(EvaluationError, match="All rows of y are equally far apart"):
        linear_cka(y, np.eye(8))
    assert 0 < linear_cka(y, np.eye(8), debiased=False) < 1


def test_wide_features_are_compared_by_the_smaller_table(sides):
    x, y = (side[:5] for side in sides)
    assert linear_cka(x, y, debiased=False) == pytest.approx(plain(x, y), rel=1e-10)
    assert linear_cka(x, y) == pytest.approx(unbiased(x, y), rel=1e-8)
