"""The pointing game: whether the hottest place of a heat map lies in the box of what a phrase names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pointing:
    """N phrases.

    Attributes:
        hit: `[N]` 1 where the centre of the hottest cell lies in the box; of several equally hot ones, their share.
        chance: `[N]` share of all cells whose centres lie in the box.
    """

    hit: Floats
    chance: Floats


def point(heat: Floats, boxes: Floats) -> Pointing:
    """Play the pointing game (Zhang et al., arXiv 1608.00507) on a grid.

    Args:
        heat: `[N, R, C]` rows by columns.
        boxes: `[N, 4]` left, top, right, bottom in 0..1 of what the grid covers.

    Raises:
        EvaluationError: if shapes do not fit, or heat is NaN.
    """
    if heat.ndim != 3 or boxes.shape != (len(heat), 4) or not len(heat):
        raise EvaluationError(f"Heat {heat.shape} and boxes {boxes.shape} do not fit; expected [N, R, C] and [N, 4].")
    if np.isnan(heat).any():
        raise EvaluationError(f"{int(np.isnan(heat).any(axis=(1, 2)).sum())} heat maps hold NaN.")
    inside = cells_inside(boxes, heat.shape[1], heat.shape[2])
    hottest = heat == heat.max(axis=(1, 2), keepdims=True)
    hit = (hottest & inside).sum(axis=(1, 2)) / hottest.sum(axis=(1, 2))
    return Pointing(hit, inside.mean(axis=(1, 2)))


def cells_inside(boxes: Floats, rows: int, columns: int) -> NDArray[np.bool_]:
    """Cells `[N, rows, columns]` whose centres lie in the boxes `[N, 4]`."""
    across, down = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    left, top, right, bottom = (side[:, None] for side in boxes.T)
    inside: NDArray[np.bool_] = ((top <= down) & (down <= bottom))[:, :, None] & ((left <= across) & (across <= right))[
        :, None, :
    ]
    return inside
