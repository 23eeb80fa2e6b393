"""The concepts nearest to an image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F


class Retrieved(NamedTuple):
    """The k concepts nearest to each of B queries, best first.

    Attributes:
        rows: `[B, k]` int64, of the concepts.
        cosine: `[B, k]`.
    """

    rows: Tensor
    cosine: Tensor


def retrieve(queries: Tensor, concepts: Tensor, k: int) -> Retrieved:
    """Look concepts up by cosine.

    Args:
        queries: `[B, D]` of any length.
        concepts: `[C, D]` of unit norm.
        k: how many; fewer where there are fewer concepts.
    """
    cosines = F.normalize(queries, dim=-1) @ concepts.T  # [B, C]
    best = cosines.topk(min(k, len(concepts)), dim=1)
    return Retrieved(best.indices, best.values)
