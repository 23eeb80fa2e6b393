"""Which way of shuffling suits the pairs that are read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.data.batch_order import Arrangement
from vlcore.data.collate import PairCollate, PixelReader, Tokenizer
from vlcore.data.feature_rows import FeatureRows

BLOCKS_FROM_BYTES = 2**28
"""Cached features of this size and above are read in blocks. It depends on the data alone, not on the machine's memory,
so that a run can be resumed on another machine."""


def suitable_arrangement(collate: PairCollate) -> Arrangement:
    """`lengths` where texts pass through a tower, `blocks` for large features or archives on disk, else `rows`.

    Padding costs arithmetic in every step, which is more than what disks cost; so texts come first.
    """
    if not isinstance(collate.texts, np.ndarray | FeatureRows):
        return "lengths"
    if isinstance(collate.images, PixelReader):
        return "blocks" if all(image.member for image in collate.table.images) else "rows"
    size = sum(side.nbytes for side in (collate.images, collate.texts) if isinstance(side, FeatureRows))
    return "blocks" if size >= BLOCKS_FROM_BYTES else "rows"


def count_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Tokens `[M]` of each of M texts, as the tower reads them."""
    parts = [tokenizer(texts[start : start + 1024]).attention_mask.sum(dim=1) for start in range(0, len(texts), 1024)]
    counts: NDArray[np.int64] = torch.cat(parts).numpy()
    return counts
