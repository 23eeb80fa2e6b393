"""Ranks of the correct items, both ways, in one pass over tiles and without sorting.

The rank of a query is 1 + the number of incorrect items that score at least as high as its best correct item
(ties count against the model: a model that maps everything to one point gets the worst rank, not the best).

Scores are dot products. Each tile is multiplied in float32; wherever that leaves open which of two items is
ahead, the pair is computed again in float64 and scores closer than float64 can tell apart are ties. So ranks
depend neither on the tile nor on the order in which a matrix library adds, and equal vectors always tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Indices, Relevance

# Relative to |a||b|: more than a float64 dot product of float32 vectors of any usual width can be off.
TIE = 1e-12
# Pairs recomputed at once; times D float64 numbers, twice.
PAIRS_AT_ONCE = 16384


@dataclass(frozen=True)
class DirectionRanks:
    """Ranks of one direction.

    Attributes:
        query: `[Q]` index of each query that has a correct item.
        rank: `[Q]` rank of its best-placed correct item, from 1.
        positives: `[Q]` how many items are correct for it.
        gallery: number of items searched.
    """

    query: Indices
    rank: Indices
    positives: Indices
    gallery: int


@dataclass(frozen=True)
class RetrievalRanks:
    """Ranks of both directions."""

    image_to_text: DirectionRanks
    text_to_image: DirectionRanks


def retrieval_ranks(
    image: Tensor | NDArray[np.float32],
    text: Tensor | NDArray[np.float32],
    relevance: Relevance,
    *,
    tile: int | None = None,
) -> RetrievalRanks:
    """Rank the best-placed correct text of every image and the best-placed correct image of every text.

    Memory is O((N + M) D + tile²), time one N x M matrix product for both directions.

    Args:
        image: `[N, D]` embeddings, on any device.
        text: `[M, D]` embeddings, on the same device.
        relevance: the correct pairs.
        tile: images and texts compared at once, chosen by the device if left out; changes memory and speed, never
            a rank.

    Raises:
        EvaluationError: if an embedding holds NaN or infinity, or shapes do not fit.
    """
    a, b = _checked(image, "image", relevance.images), _checked(text, "text", relevance.texts)
    if a.shape[1] != b.shape[1]:
        raise EvaluationError(f"Image embeddings have {a.shape[1]} numbers and text embeddings {b.shape[1]}.")
    if tile is None:
        # On the CPU a tile stays near the cache; a GPU needs more work per launch.
        tile = 1024 if a.device.type == "cpu" else 8192
    if tile < 1:
        raise EvaluationError(f"tile={tile}: give a positive number of rows.")
    return _Counter(a, b, relevance).count(tile)


class _Counter:
    """Counts, per image (row) and per text (column), the incorrect items that are not behind the best correct."""

    def __init__(self, a: Tensor, b: Tensor, relevance: Relevance) -> None:
        self.a, self.b, self.relevance = a, b, relevance
        norm_a, norm_b = torch.linalg.vector_norm(a.double(), dim=1), torch.linalg.vector_norm(b.double(), dim=1)
        self.best_a, self.best_b = self._best()
        # How far a float32 product may be off: gamma_D |a||b| (Higham 2002, section 3.1), with room for rounding
        # the thresholds themselves.
        unit = float(np.finfo(np.float32).eps) * (a.shape[1] + 8)
        largest_a, largest_b = float(norm_a.max()), float(norm_b.max())
        if largest_a * largest_b > 1e30:
            raise EvaluationError(
                f"Embeddings reach lengths of {largest_a:.3g} and {largest_b:.3g}; their products overflow. "
                f"Normalise them first."
            )
        self.tie_a, self.tie_b = TIE * norm_a * largest_b, TIE * norm_b * largest_a
        self.limits_a = self._limits(self.best_a, norm_a * largest_b * unit)
        self.limits_b = self._limits(self.best_b, norm_b * largest_a * unit)

    def count(self, tile: int) -> RetrievalRanks:
        ahead_a = torch.zeros(len(self.a), dtype=torch.int64, device=self.a.device)
        ahead_b = torch.zeros(len(self.b), dtype=torch.int64, device=self.a.device)
        with _full_float32():
            for row in range(0, len(self.a), tile):
                rows = slice(row, min(row + tile, len(self.a)))
                for column in range(0, len(self.b), tile):
                    columns = slice(column, min(column + tile, len(self.b)))
                    self._tile(rows, columns, ahead_a, ahead_b)
        positives_a, positives_b = self.relevance.positives()
        return RetrievalRanks(
            image_to_text=_direction(ahead_a, positives_a, gallery=len(self.b)),
            text_to_image=_direction(ahead_b, positives_b, gallery=len(self.a)),
        )

    def _best(self) -> tuple[Tensor, Tensor]:
        """Best correct score of every row and column in float64; infinity where there is none."""
        best_a = torch.full((len(self.a),), -torch.inf, dtype=torch.float64, device=self.a.device)
        best_b = torch.full((len(self.b),), -torch.inf, dtype=torch.float64, device=self.a.device)
        for image, text in self.relevance.pairs(PAIRS_AT_ONCE):
            i, t = torch.from_numpy(image).to(self.a.device), torch.from_numpy(text).to(self.a.device)
            score = self._exact(i, t)
            best_a.scatter_reduce_(0, i, score, "amax")
            best_b.scatter_reduce_(0, t, score, "amax")
        # A query without a correct item has no rank; infinity keeps it out of all counting.
        return best_a.masked_fill(best_a.isneginf(), torch.inf), best_b.masked_fill(best_b.isneginf(), torch.inf)

    def _limits(self, best: Tensor, slack: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 scores from which an item may be ahead, and above which it surely is."""
        return (best - slack).float(), (best + slack).float()

    def _exact(self, i: Tensor, t: Tensor) -> Tensor:
        return torch.einsum("pd,pd->p", self.a[i].double(), self.b[t].double())

    def _tile(self, rows: slice, columns: slice, ahead_a: Tensor, ahead_b: Tensor) -> None:
        score = self.a[rows] @ self.b[columns].T  # [rows, columns]
        low_a, high_a = (limit[rows, None] for limit in self.limits_a)
        low_b, high_b = (limit[None, columns] for limit in self.limits_b)
        sure_a, sure_b = score > high_a, score > high_b
        ahead_a[rows] += _count_true(sure_a, 1)
        ahead_b[columns] += _count_true(sure_b, 0)
        open_a, open_b = (score >= low_a) ^ sure_a, (score >= low_b) ^ sure_b
        # Correct pairs are open too (each query's best always is); they are dropped when settled.
        self._settle(open_a, rows, columns, self.best_a, self.tie_a, ahead_a, by_row=True)
        self._settle(open_b, rows, columns, self.best_b, self.tie_b, ahead_b, by_row=False)

    def _settle(
        self, open_: Tensor, rows: slice, columns: slice, best: Tensor, tie: Tensor, ahead: Tensor, *, by_row: bool
    ) -> None:
        """Decide the pairs that float32 cannot, and count those that are ahead or tied."""
        places = open_.nonzero()
        if len(places) > open_.numel() // 64:
            # So many only where embeddings have collapsed: a dense product is then the faster way.
            exact = self.a[rows].double() @ self.b[columns].double().T
            compare = (best - tie)[rows, None] if by_row else (best - tie)[None, columns]
            places = (open_ & (exact >= compare)).nonzero()
            decided = True
        else:
            decided = False
        for chunk in torch.split(places, PAIRS_AT_ONCE):
            i, t = chunk[:, 0] + rows.start, chunk[:, 1] + columns.start
            wrong = torch.from_numpy(~self.relevance.contains(i.cpu().numpy(), t.cpu().numpy())).to(i.device)
            i, t = i[wrong], t[wrong]
            query = i if by_row else t
            if not decided:
                query = query[self._exact(i, t) >= (best - tie)[query]]
            ahead.index_add_(0, query, torch.ones_like(query))


def _direction(ahead: Tensor, positives: Indices, gallery: int) -> DirectionRanks:
    query = np.flatnonzero(positives)
    return DirectionRanks(query, ahead.cpu().numpy()[query] + 1, positives[query], gallery)


def _count_true(mask: Tensor, dim: int) -> Tensor:
    # torch sums bools several times faster in int32 than in its default int64.
    return mask.sum(dim, dtype=torch.int32).to(torch.int64)


@contextmanager
def _full_float32() -> Iterator[None]:
    """Forbid TF32 and bfloat16 products: the error bound above is float32's."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _checked(values: Tensor | NDArray[np.float32], name: str, count: int) -> Tensor:
    tensor = torch.as_tensor(values).detach().float()
    if tensor.ndim != 2 or len(tensor) != count:
        raise EvaluationError(
            f"{name} embeddings have the shape {list(tensor.shape)} for {count} {name}s; expected [{count}, D]."
        )
    wrong = (~torch.isfinite(tensor).all(dim=1)).nonzero().flatten()
    if len(wrong):
        shown = ", ".join(str(int(index)) for index in wrong[:5])
        raise EvaluationError(
            f"{len(wrong)} of {count} {name} embeddings hold NaN or infinity (rows {shown}{', …' * (len(wrong) > 5)}). "
            f"No honest score exists; train or load the model in float32 and look for diverged weights."
        )
    return tensor
