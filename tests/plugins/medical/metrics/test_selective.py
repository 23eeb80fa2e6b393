"""Risk against coverage, against a loop over thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore_medical.metrics.selective import abstention_threshold, risk_coverage


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_equals_a_loop_over_thresholds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    confidence, hit = generator.integers(0, 12, 60) / 12, generator.random(60) < 0.7
    curve = risk_coverage(confidence, hit)
    levels = sorted(set(confidence.tolist()), reverse=True)
    assert curve.threshold.tolist() == levels
    for place, level in enumerate(levels):
        answered = hit[confidence >= level]
        assert curve.coverage[place] == pytest.approx(len(answered) / 60)
        assert curve.risk[place] == pytest.approx(1 - answered.mean())
    # Each sample is answered at the coverage of its own confidence.
    own = [1 - hit[confidence >= value].mean() for value in confidence]
    assert curve.area == pytest.approx(np.mean(own))


def test_perfect_and_useless_confidence_have_the_areas_that_bound_it() -> None:
    hit = np.array([True] * 6 + [False] * 2)
    perfect = risk_coverage(np.arange(8)[::-1] / 8.0, hit)
    assert perfect.area == pytest.approx(perfect.best_area)
    assert perfect.best_area == pytest.approx((1 / 7 + 2 / 8) / 8)
    useless = risk_coverage(np.full(8, 0.5), hit)
    assert useless.area == pytest.approx(useless.random_area) == pytest.approx(0.25)


def test_the_threshold_allows_the_largest_coverage_of_that_risk() -> None:
    confidence, hit = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, False, True, True, False])
    assert abstention_threshold(confidence, hit, 0.25) == 0.6
    assert abstention_threshold(confidence, hit, 0.1) == 0.9
    assert abstention_threshold(confidence, ~hit, 0.1) == float("inf")


@pytest.mark.parametrize(
    ("confidence", "hit", "message"),
    [([], [], "got 0 confidences"), ([0.5], [True, False], "1 confidences"), ([np.nan], [True], "1 NaN")],
)
def test_what_cannot_be_scored_is_told(confidence: list[float], hit: list[bool], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        risk_coverage(np.array(confidence), np.array(hit, dtype=bool))
