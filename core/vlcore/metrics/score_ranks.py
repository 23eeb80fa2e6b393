"""Ranks by scores that are no dot products, such as those of a matching head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Indices, Relevance
from vlcore.metrics.retrieval import DirectionRanks, RetrievalRanks


def score_ranks(scores: NDArray[np.float32], relevance: Relevance) -> RetrievalRanks:
    """Rank by a whole table of scores; ties count against the model, as in `retrieval_ranks`.

    Args:
        scores: `[N, M]` of every image with every text.
        relevance: the correct pairs.

    Raises:
        EvaluationError: if a score is NaN or infinite, or the shape does not fit.
    """
    if scores.shape != (relevance.images, relevance.texts):
        raise EvaluationError(
            f"Scores of shape {list(scores.shape)} for {relevance.images} images and {relevance.texts} texts."
        )
    directions = []
    for table, pairs in ((scores, relevance), (scores.T, relevance.swapped())):
        rows, columns = np.indices(table.shape)
        correct = pairs.contains(rows.ravel(), columns.ravel()).reshape(table.shape)
        query = np.flatnonzero(correct.any(axis=1))
        rank = _best_rank(table[query], correct[query])
        directions.append(DirectionRanks(query, rank, pairs.positives()[0][query], table.shape[1]))
    return RetrievalRanks(*directions)


def reranked(first: DirectionRanks, scores: NDArray[np.float32], correct: NDArray[np.bool_]) -> DirectionRanks:
    """Ranks after the first k items of every query were put in a new order.

    What is not among them stays behind them in its place, so a query without a correct item there keeps its rank.

    Args:
        first: ranks of the first stage.
        scores: `[Q, k]` of the second stage, of the k items that the first stage put in front.
        correct: `[Q, k]` which of them are correct.

    Raises:
        EvaluationError: if a score is NaN or infinite, or shapes do not fit.
    """
    if scores.shape != correct.shape or len(scores) != len(first.rank):
        raise EvaluationError(
            f"Scores of shape {list(scores.shape)} and correct items of shape {list(correct.shape)} for "
            f"{len(first.rank)} queries."
        )
    return replace(first, rank=np.where(correct.any(axis=1), _best_rank(scores, correct), first.rank))


def _best_rank(scores: NDArray[np.float32], correct: NDArray[np.bool_]) -> Indices:
    """Rank `[Q]` of the best correct item of each row, from 1."""
    if not np.isfinite(scores).all():
        query, item = (int(place[0]) for place in np.nonzero(~np.isfinite(scores)))
        raise EvaluationError(f"The score of query {query} and item {item} is {scores[query, item]}, no number.")
    best = np.where(correct, scores, -np.inf).max(axis=1, keepdims=True)
    ahead: Indices = (~correct & (scores >= best)).sum(axis=1).astype(np.int64)
    return ahead + 1
