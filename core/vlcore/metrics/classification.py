"""Single-label classification scores, their floors and their intervals, all per cent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError
from vlcore.metrics.bootstrap import Floats, bootstrap_interval
from vlcore.metrics.relevance import Indices

BINS = 15


@dataclass(frozen=True)
class ClassificationScores:
    """Scores of N samples over C classes, per cent.

    Attributes:
        accuracy: samples whose most probable class is right.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of the classes that occur or are predicted.
        top5: samples whose class is among the five most probable.
        ece: expected calibration error.
        samples: N.
        classes: C.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    top5: float
    ece: float
    samples: int
    classes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def classification_scores(probability: NDArray[np.floating[Any]], target: Indices) -> ClassificationScores:
    """Score probabilities `[N, C]` against class numbers `[N]`.

    Raises:
        EvaluationError: if a probability is NaN or infinite, shapes differ or a target is out of range.
    """
    probability, target = _checked(probability, target)
    predicted = probability.argmax(axis=1)
    hit = predicted == target
    counts = _class_counts(target, predicted, probability.shape[1], np.ones(len(target)))
    return ClassificationScores(
        accuracy=float(hit.mean() * 100),
        balanced_accuracy=_balanced_accuracy(*counts),
        macro_f1=_macro_f1(*counts),
        top5=top_k_accuracy(probability, target, 5),
        ece=expected_calibration_error(probability.max(axis=1), hit),
        samples=len(target),
        classes=probability.shape[1],
    )


def top_k_accuracy(score: NDArray[np.floating[Any]], target: Indices, k: int) -> float:
    """Per cent of samples whose class is among the k highest of `[N, C]` scores; ties count against it."""
    own = score[np.arange(len(target)), target]
    # The class itself is among those that score at least as high.
    return float(np.mean((score >= own[:, None]).sum(axis=1) <= k) * 100)


def expected_calibration_error(
    confidence: NDArray[np.floating[Any]], hit: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Mean gap between confidence `[N]` in 0..1 and accuracy over bins of equal width, weighted by size, per cent.

    Guo et al. 2017 (arXiv 1706.04599), equation 3; bins are open below and closed above.
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=hit - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence) * 100)


def classification_floors(target: Indices, classes: int) -> dict[str, dict[str, float]]:
    """What two classifiers that never look at the image score.

    `chance` draws a class at random (expected values); `majority` always says the most frequent class.
    """
    share = np.bincount(target, minlength=classes) / len(target)
    present = int((share > 0).sum())
    majority = float(share.max())
    # The most frequent class has recall 1 and precision `majority`; every other class that occurs has F1 0.
    return {
        "chance": {
            "accuracy": 100 / classes,
            "balanced_accuracy": 100 / classes,
            "top5": min(5, classes) / classes * 100,
        },
        "majority": {
            "accuracy": majority * 100,
            "balanced_accuracy": 100 / present,
            "macro_f1": 2 * majority / (1 + majority) / present * 100,
        },
    }


def classification_intervals(
    probability: NDArray[np.floating[Any]], target: Indices, unit: Indices, *, repeats: int = 1000, seed: int = 0
) -> dict[str, list[float]]:
    """95 % bootstrap intervals of accuracy, balanced accuracy and macro-F1, drawing units `[N]` (see bootstrap.py)."""
    probability, target = _checked(probability, target)
    predicted, classes = probability.argmax(axis=1), probability.shape[1]

    def statistic(weights: Floats) -> Floats:
        rows = []
        for draw in weights:
            counts = _class_counts(target, predicted, classes, draw[unit])
            support, _, right = counts
            rows.append([right.sum() / support.sum() * 100, _balanced_accuracy(*counts), _macro_f1(*counts)])
        return np.array(rows)

    ends = bootstrap_interval(statistic, int(unit.max()) + 1, repeats=repeats, seed=seed).tolist()
    return dict(zip(("accuracy", "balanced_accuracy", "macro_f1"), ends, strict=True))


def _class_counts(target: Indices, predicted: Indices, classes: int, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Weight of samples per true class, per predicted class, and right ones per class, each `[C]`."""
    support = np.bincount(target, weights=weight, minlength=classes)
    claimed = np.bincount(predicted, weights=weight, minlength=classes)
    right = np.bincount(target, weights=weight * (predicted == target), minlength=classes)
    return support.astype(np.float64), claimed.astype(np.float64), right.astype(np.float64)


def _balanced_accuracy(support: Floats, claimed: Floats, right: Floats) -> float:
    occurs = support > 0
    return float(np.mean(right[occurs] / support[occurs]) * 100)


def _macro_f1(support: Floats, claimed: Floats, right: Floats) -> float:
    counted = support + claimed > 0
    return float(np.mean(2 * right[counted] / (support + claimed)[counted]) * 100)


def _checked(probability: NDArray[np.floating[Any]], target: Indices) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values: NDArray[np.float64] = np.asarray(probability, dtype=np.float64)
    target = np.asarray(target)
    if values.ndim != 2 or target.shape != (len(values),) or not len(target):
        raise EvaluationError(
            f"Probabilities of shape {values.shape} do not fit targets of shape {target.shape}; expected [N, C] "
            f"and [N] with N of at least 1."
        )
    if not np.isfinite(values).all():
        raise EvaluationError(f"{int((~np.isfinite(values)).any(axis=1).sum())} rows hold NaN or infinity.")
    if target.dtype.kind not in "iu" or target.min() < 0 or target.max() >= values.shape[1]:
        raise EvaluationError(f"Targets must be class numbers from 0 to {values.shape[1] - 1}.")
    return values, target.astype(np.int64)
