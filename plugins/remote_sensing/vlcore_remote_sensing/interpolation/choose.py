"""How far to go from a base to a tuned model, by scores on data that neither was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vlcore.data.manifest import Manifest
from vlcore.errors import ConfigurationError, EvaluationError
from vlcore.models.dual_encoder import DualEncoder
from vlcore.retrieval.evaluate import EvaluationResult, evaluate
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.interpolation.weights import interpolate_weights

ScoreName = Literal["mean_recall", "accuracy"]
"""Mean recall of captions and images both ways, captions that say the same standing for each other; or zero-shot
accuracy."""

ALPHAS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class CurvePoint:
    """A place between two models.

    Attributes:
        alpha: 0 is the base, 1 the tuned model.
        mean_recall: of retrieval, per cent, duplicate-tolerant; None where no record has a caption.
        accuracy: of zero-shot classification, per cent; None where fewer than two labels occur.
    """

    alpha: float
    mean_recall: float | None
    accuracy: float | None


def interpolation_curve(
    base: DualEncoder,
    tuned: DualEncoder,
    manifest: Manifest,
    *,
    split: str | None = None,
    alphas: Sequence[float] = ALPHAS,
    device: str | None = None,
    done: Callable[[CurvePoint], None] = lambda point: None,
    **options: Any,
) -> list[CurvePoint]:
    """Score the models between two.

    Args:
        base: that training started from.
        tuned: that it ended with.
        manifest: of records that neither was trained on.
        split: which of them; None for all.
        alphas: places to score, each from 0 to 1.
        device: to run on; chosen if left out.
        done: called with every point.
        options: of `vlcore.retrieval.evaluate.evaluate`, such as `prompts`.

    Raises:
        ConfigurationError: if an alpha is out of range, or nothing lies between the models.
        EvaluationError: if nothing can be scored.
    """
    if not alphas:
        raise ConfigurationError("There are no alphas to try: give some from 0 to 1, such as 0 0.5 1.")
    points = []
    for alpha in sorted(set(alphas)):
        model = Model(interpolate_weights(base, tuned, alpha), f"alpha {alpha}", device=device)
        # The curve is looked at, not reported: one resample is the least there is.
        result = evaluate(model, manifest, split=split, bootstrap=1, **options)
        points.append(CurvePoint(alpha, _tolerant_recall(result), (result.zero_shot or {}).get("accuracy")))
        done(points[-1])
    return points


def best_alpha(points: Sequence[CurvePoint], score: ScoreName | None = None) -> float:
    """The place with the highest score; of equal ones the nearest to the base, which has forgotten least.

    Args:
        points: of a curve.
        score: to choose by; by default the mean recall, or the accuracy where there are no captions.

    Raises:
        EvaluationError: if the records do not have that score.
    """
    name: ScoreName = score or ("accuracy" if points[0].mean_recall is None else "mean_recall")
    if any(getattr(point, name) is None for point in points):
        missing = "no captions" if name == "mean_recall" else "fewer than two labels"
        raise EvaluationError(f"The records have {missing}, so there is no {name} to choose by. Choose another score.")
    return max(points, key=lambda point: (getattr(point, name), -point.alpha)).alpha


def _tolerant_recall(result: EvaluationResult) -> float | None:
    return None if result.retrieval is None else float(result.retrieval["duplicate_tolerant"]["mean_recall"])
