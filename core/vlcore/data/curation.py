"""A pool of images cut down to a balanced choice: so many of each concept, nothing twice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError

ROWS_AT_ONCE = 8192
SCORES_AT_ONCE = 2**25  # 128 MiB


@dataclass(frozen=True)
class Curation:
    """What was chosen.

    Attributes:
        chosen: `[M]` rows of the pool, in their order.
        concept: `[M]` concept of each.
        counts: `[C]` chosen items of each concept; 0 where no item of the pool is nearest to it.
        duplicates: items that were passed over because the same thing was chosen already.
    """

    chosen: NDArray[np.int64]
    concept: NDArray[np.int64]
    counts: NDArray[np.int64]
    duplicates: int


def curate(
    features: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    per_concept: int,
    keys: Sequence[Hashable] | None = None,
) -> Curation:
    """Choose the items that show each concept best (freeze-align, arXiv 2409.19425, section 3.2).

    An item belongs to the concept that it is most similar to. From the most similar on, items are taken until their
    concept has enough; of items with the same key only the first. So every concept that an item belongs to is
    covered, however rare it is, unless all its items are doubles of chosen ones. The same pool gives the same choice.

    Args:
        features: `[N, D]` unit norm, of the pool.
        prototypes: `[C, D]` unit norm, one per concept.
        per_concept: most items of a concept.
        keys: N keys, equal where two items are the same thing; all differ if left out.

    Raises:
        ConfigurationError: if there is no concept, none may be chosen, keys or widths do not fit, or a number is NaN
            or infinite.
    """
    if per_concept < 1 or not len(prototypes):
        raise ConfigurationError(
            f"per_concept={per_concept} of {len(prototypes)} concepts: choose at least one of one."
        )
    if keys is not None and len(keys) != len(features):
        raise ConfigurationError(f"{len(keys)} keys for {len(features)} items: give one each.")
    if features.ndim != 2 or prototypes.ndim != 2 or features.shape[1] != prototypes.shape[1]:
        raise ConfigurationError(
            f"features have shape {list(features.shape)}, prototypes {list(prototypes.shape)}: give [N, D] and [C, D]."
        )
    if not np.isfinite(prototypes).all():
        raise ConfigurationError("Prototypes hold NaN or infinity: look for diverged embeddings.")
    concept = np.empty(len(features), dtype=np.int64)
    similarity = np.empty(len(features), dtype=np.float32)
    rows_at_once = max(1, min(ROWS_AT_ONCE, SCORES_AT_ONCE // len(prototypes)))
    for start in range(0, len(features), rows_at_once):
        block = slice(start, start + rows_at_once)
        scores = features[block] @ prototypes.T
        concept[block] = scores.argmax(axis=1)
        similarity[block] = scores.max(axis=1)
        # max() of a row with a NaN is NaN.
        if not np.isfinite(similarity[block]).all():
            row = start + int(np.flatnonzero(~np.isfinite(similarity[block]))[0])
            raise ConfigurationError(f"Similarities of item {row} are NaN or infinite: look for diverged embeddings.")
    counts = np.zeros(len(prototypes), dtype=np.int64)
    seen: set[Hashable] = set()
    chosen: list[int] = []
    duplicates = 0
    for row in np.argsort(-similarity, kind="stable").tolist():
        if counts[concept[row]] == per_concept:
            continue
        key = row if keys is None else keys[row]
        if key in seen:
            duplicates += 1
            continue
        seen.add(key)
        counts[concept[row]] += 1
        chosen.append(row)
    rows = np.array(sorted(chosen), dtype=np.int64)
    return Curation(rows, concept[rows], counts, duplicates)
