"""Answering only where confidence is high: risk against coverage, and the confidence below which to abstain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError
from vlcore.metrics.bootstrap import Floats


@dataclass(frozen=True)
class RiskCoverage:
    """Risk of the most confident samples, all as fractions.

    Attributes:
        coverage: `[P]` share of samples answered, ascending; samples of equal confidence are answered together.
        risk: `[P]` share of wrong ones among them.
        threshold: `[P]` the least confidence that is answered.
        area: under the curve, as the mean risk over all coverages: lower is better.
        random_area: of a confidence that says nothing: the risk at full coverage.
        best_area: of a confidence that puts every right sample first.
    """

    coverage: Floats
    risk: Floats
    threshold: Floats
    area: float
    random_area: float
    best_area: float


def risk_coverage(confidence: NDArray[np.floating[Any]], hit: NDArray[np.bool_]) -> RiskCoverage:
    """The risk-coverage curve (Geifman and El-Yaniv, arXiv 1705.08500).

    Args:
        confidence: `[N]`.
        hit: `[N]` True where the sample is right.

    Raises:
        EvaluationError: if there are no samples, the lengths differ or a confidence is NaN.
    """
    if len(confidence) != len(hit) or not len(hit) or np.isnan(confidence).any():
        raise EvaluationError(
            f"A risk-coverage curve needs one confidence per sample, none NaN; got {len(confidence)} confidences "
            f"({int(np.isnan(confidence).sum())} NaN) and {len(hit)} samples."
        )
    values, place = np.unique(-confidence, return_inverse=True)
    answered = np.cumsum(np.bincount(place, minlength=len(values)))
    wrong = np.cumsum(np.bincount(place, weights=~hit, minlength=len(values)))
    risk = wrong / answered
    share = np.diff(answered, prepend=0) / len(hit)
    errors, count = int((~hit).sum()), len(hit)
    # With every right sample first, the k-th error comes at coverage (right + k) / N.
    late = np.arange(1, errors + 1)
    return RiskCoverage(
        coverage=answered / count,
        risk=risk,
        threshold=-values,
        area=float((risk * share).sum()),
        random_area=errors / count,
        best_area=float((late / (count - errors + late)).sum() / count),
    )


def abstention_threshold(confidence: NDArray[np.floating[Any]], hit: NDArray[np.bool_], largest_risk: float) -> float:
    """The least confidence to answer at, so that held-out samples above it are wrong at most that often.

    Args:
        confidence: `[N]` of held-out samples.
        hit: `[N]`.
        largest_risk: share of wrong answers that is allowed.

    Returns:
        A confidence; infinity if no coverage has so little risk, which means to abstain always.

    Raises:
        EvaluationError: as `risk_coverage`.
    """
    curve = risk_coverage(confidence, hit)
    allowed = np.flatnonzero(curve.risk <= largest_risk)
    return float(curve.threshold[allowed[-1]]) if len(allowed) else float("inf")
