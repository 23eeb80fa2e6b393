"""Percentile bootstrap over independent units: an image with its captions, a patient, a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlcore.errors import EvaluationError

Floats = NDArray[np.float64]

# Weights drawn at once, in numbers: 32 MiB of float64.
AT_ONCE = 1 << 22


def bootstrap_weights(units: int, repeats: int, seed: int) -> Iterator[Floats]:
    """Yield how often each unit is drawn in each repeat, `[R', units]`, in blocks that fit the cache.

    The draws depend on `seed`, `units` and `repeats` alone.

    Raises:
        EvaluationError: if there are no units or no repeats.
    """
    if units < 1 or repeats < 1:
        raise EvaluationError(f"A bootstrap needs units and repeats; got {units} units and {repeats} repeats.")
    generator = np.random.default_rng(seed)
    block = max(1, AT_ONCE // units)
    for start in range(0, repeats, block):
        rows = min(block, repeats - start)
        drawn = generator.integers(0, units, size=(rows, units))
        drawn += np.arange(rows)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=rows * units)
        yield counts.reshape(rows, units).astype(np.float64)


def bootstrap_interval(
    statistic: Callable[[Floats], Floats], units: int, *, repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> NDArray[np.float64]:
    """Percentile intervals of K statistics.

    Args:
        statistic: from weights `[R', units]` to values `[R', K]`.
        units: number of independent units.
        repeats: resamples.
        seed: of the draws.
        level: coverage.

    Returns:
        `[K, 2]` lower and upper ends.
    """
    values = np.concatenate([statistic(weights) for weights in bootstrap_weights(units, repeats, seed)])
    tail = (1 - level) / 2 * 100
    ends: NDArray[np.float64] = np.percentile(values, [tail, 100 - tail], axis=0).T
    return ends


def unit_index(keys: ArrayLike) -> NDArray[np.int64]:
    """Number the distinct keys `[N]` from 0, in sorted order."""
    index: NDArray[np.int64] = np.unique(np.asarray(keys), return_inverse=True)[1].astype(np.int64)
    return index
