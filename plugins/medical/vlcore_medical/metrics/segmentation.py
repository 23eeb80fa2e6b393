"""Scores of masks: Dice, and the distance of their outlines in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError, EvaluationError, MissingDependencyError

Empty = Literal["one", "skip"]
"""What a sample without any reference counts as: 1 where nothing was drawn and 0 where something was, or NaN."""


def dice(predicted: NDArray[np.bool_], reference: NDArray[np.bool_], empty: Empty = "one") -> NDArray[np.float64]:
    """Dice `[N]` of masks `[N, …]`, in [0, 1].

    Published means differ in what they do with empty references, so print the policy beside them.

    Args:
        predicted: True where something was drawn.
        reference: likewise.
        empty: policy for references without a pixel; `skip` gives NaN, to be left out and counted.

    Raises:
        ConfigurationError: for another policy.
        EvaluationError: if the shapes differ or there is nothing to score.
    """
    if empty not in ("one", "skip"):
        raise ConfigurationError(f"empty={empty!r}: choose 'one' or 'skip'.")
    _check(predicted, reference)
    axes = tuple(range(1, predicted.ndim))
    drawn, meant = predicted.sum(axis=axes), reference.sum(axis=axes)
    both = (predicted & reference).sum(axis=axes)
    value = np.where(drawn + meant > 0, 2 * both / np.maximum(drawn + meant, 1), 1.0)
    if empty == "skip":
        value = np.where(meant > 0, value, np.nan)
    return np.asarray(value, dtype=np.float64)


def outline_distance(
    predicted: NDArray[np.bool_], reference: NDArray[np.bool_], spacing: Sequence[float]
) -> NDArray[np.float64]:
    """95th percentile of the distances between outlines `[N]` (HD95), in the unit of the spacing.

    By MONAI. Where one of the two masks is empty the distance is infinite; where both are, it is 0.

    Args:
        predicted: `[N, H, W]` or `[N, H, W, D]`.
        reference: likewise.
        spacing: size of a pixel along each axis, such as millimetres.

    Raises:
        ConfigurationError: if the spacing does not fit the axes or is not positive.
        EvaluationError: if the shapes differ or there is nothing to score.
        MissingDependencyError: if MONAI is not installed.
    """
    _check(predicted, reference)
    if len(spacing) != predicted.ndim - 1 or min(spacing) <= 0:
        raise ConfigurationError(f"spacing={list(spacing)}: give {predicted.ndim - 1} positive sizes of a pixel.")
    try:
        from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    except ImportError:
        raise MissingDependencyError("monai", "medical", "The distance of outlines") from None
    axes = tuple(range(1, predicted.ndim))
    drawn, meant = predicted.any(axis=axes), reference.any(axis=axes)
    distance = np.where(drawn == meant, 0.0, np.inf)
    both = np.flatnonzero(drawn & meant)
    if len(both):
        # MONAI wants a channel: [N, 1, …].
        drawn_masks, meant_masks = (torch.from_numpy(m[both, None].astype(np.uint8)) for m in (predicted, reference))
        found = compute_hausdorff_distance(
            drawn_masks, meant_masks, include_background=True, percentile=95, spacing=list(spacing)
        )
        distance[both] = found[:, 0].numpy()
    return distance


def _check(predicted: NDArray[np.bool_], reference: NDArray[np.bool_]) -> None:
    if predicted.shape != reference.shape or predicted.ndim < 3 or not len(predicted):
        raise EvaluationError(
            f"Masks of shapes {predicted.shape} and {reference.shape} cannot be compared; expected two of [N, H, W]."
        )
