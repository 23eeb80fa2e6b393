"""Scores of overlapping windows as one map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlcore_remote_sensing.heat_map.layout import Layout
from vlcore_remote_sensing.rasters.pixels import Window


def blend(
    layout: Layout, windows: Sequence[Window], scores: NDArray[np.float32], *, taper: bool = True
) -> NDArray[np.float32]:
    """Average the scores of all windows over each cell.

    Sums are taken in float64 in the order of the windows, so the map does not depend on how they were computed.

    Args:
        layout: of the map.
        windows: N windows.
        scores: `[N, P]`, of P prompts; a row of NaN is a window without a score.
        taper: count a window less towards its edges (a squared sine); otherwise alike everywhere, which is the
            pixel-wise average of SeLo (Z. Yuan et al., Learning to Evaluate Performance of Multi-modal Semantic
            Localization, arXiv 2209.06515) without its median filter.

    Returns:
        `[P, rows, columns]`; NaN where no window has a score.
    """
    total = np.zeros((scores.shape[1], layout.rows, layout.columns), dtype=np.float64)
    weight = np.zeros((layout.rows, layout.columns), dtype=np.float64)
    for window, row in zip(windows, scores.astype(np.float64), strict=True):
        if np.isnan(row).any():
            continue
        top, down = _weights(window.row, window.height, layout.cell[1], taper)
        left, across = _weights(window.column, window.width, layout.cell[0], taper)
        part = down[:, None] * across[None, :]
        place = slice(top, top + len(down)), slice(left, left + len(across))
        weight[place] += part
        total[(slice(None), *place)] += row[:, None, None] * part
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float32] = (total / np.where(weight > 0, weight, np.nan)).astype(np.float32)
    return mean


def _weights(start: int, length: int, cell: int, taper: bool) -> tuple[int, NDArray[np.float64]]:
    """First cell of a window along one side, and how much it counts in each of its cells."""
    first, last = start // cell, -(-(start + length) // cell)
    edges = np.arange(first, last + 1) * cell
    low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], start + length)
    shares = (high - low) / cell
    if not taper:
        return first, shares
    centres = ((low + high) / 2 - start) / length
    return first, shares * np.sin(np.pi * centres) ** 2
