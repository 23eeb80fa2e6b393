from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics import bootstrap
from vlcore.metrics.bootstrap import bootstrap_interval, bootstrap_weights, unit_index


def test_weights_are_draws_with_replacement(monkeypatch):
    monkeypatch.setattr(bootstrap, "AT_ONCE", 100)  # three repeats at once: several blocks, the last one short
    weights = np.concatenate(list(bootstrap_weights(30, 10, seed=0)))
    assert weights.shape == (10, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert len({tuple(row) for row in weights}) == 10


def test_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(0).normal(5, 2, 500)
    (ends,) = bootstrap_interval(lambda weights: (weights @ values / 500)[:, None], 500, repeats=4000)
    margin = 1.96 * values.std() / np.sqrt(500)
    np.testing.assert_allclose(ends, [values.mean() - margin, values.mean() + margin], atol=0.02)


def test_units_and_errors():
    assert unit_index(["b", "a", "b"]).tolist() == [1, 0, 1]
    with pytest.raises(EvaluationError, match="0 units"):
        list(bootstrap_weights(0, 10, 0))
