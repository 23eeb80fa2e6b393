"""Scores of a two-stage search: a model's first items of every query, put in order by a fusion model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlcore.metrics.relevance import Indices, Relevance
from vlcore.metrics.retrieval import DirectionRanks, RetrievalRanks
from vlcore.metrics.score_ranks import reranked
from vlcore.retrieval.evaluation_set import EvaluationSet
from vlcore.retrieval.rerank import RERANK_WEIGHT, RERANKED, Reranker, blend

QUERIES_AT_ONCE = 256


@dataclass
class SecondStage:
    """Re-ranks both directions; each pair of an image and a text is read once.

    Args:
        reranker: reads pairs.
        chosen: the set that is searched.
        image: `[N, D]` embeddings of the first stage.
        text: `[M, D]` likewise.
        top: items of every query that are put in order.
        weight: see `blend`.

    Attributes:
        seconds: time that reading images and pairs took.
        pairs: how many were read.
    """

    reranker: Reranker
    chosen: EvaluationSet
    image: NDArray[np.float32]
    text: NDArray[np.float32]
    top: int = RERANKED
    weight: float = RERANK_WEIGHT
    seconds: float = 0.0
    pairs: int = 0

    def __post_init__(self) -> None:
        """Read the images and all pairs that some query asks for."""
        start = time.monotonic()
        texts_of, images_of = self._first(self.image, self.text), self._first(self.text, self.image)
        wanted = [
            np.stack([np.repeat(np.arange(len(texts_of)), texts_of.shape[1]), texts_of.ravel()]),
            np.stack([images_of.ravel(), np.repeat(np.arange(len(images_of)), images_of.shape[1])]),
        ]
        pairs = np.unique(np.concatenate(wanted, axis=1), axis=1)
        read = self.reranker.read_images(self.chosen.images, progress=True)
        match = self.reranker.scores(self.chosen.captions, read, text_index=pairs[1], image_index=pairs[0])
        cosine = np.einsum("pd,pd->p", self.image[pairs[0]], self.text[pairs[1]])
        codes, blended = pairs[0] * len(self.text) + pairs[1], blend(cosine, match, self.weight)
        self._texts_of, self._images_of = texts_of, images_of
        of_images = np.arange(len(self.image))[:, None] * len(self.text) + texts_of
        of_texts = images_of * len(self.text) + np.arange(len(self.text))[:, None]
        self._text_scores = blended[np.searchsorted(codes, of_images)]
        self._image_scores = blended[np.searchsorted(codes, of_texts)]
        self.seconds, self.pairs = time.monotonic() - start, pairs.shape[1]

    def rank(self, first: RetrievalRanks, relevance: Relevance) -> RetrievalRanks:
        """Ranks of both directions after the second stage."""
        return RetrievalRanks(
            _rerank(first.image_to_text, self._texts_of, self._text_scores, relevance),
            _rerank(first.text_to_image, self._images_of, self._image_scores, relevance.swapped()),
        )

    def protocol(self) -> dict[str, object]:
        """How it was done and what it cost, plain values."""
        queries = len(self.image) + len(self.text)
        return {
            "fingerprint": self.reranker.fingerprint,
            "top": self.top,
            "weight": self.weight,
            "pairs": self.pairs,
            "seconds_per_query": round(self.seconds / queries, 5),
        }

    def _first(self, queries: NDArray[np.float32], items: NDArray[np.float32]) -> Indices:
        """The first items `[Q, k]` of every query."""
        top = min(self.top, len(items))
        found = np.empty((len(queries), top), dtype=np.int64)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            scores = queries[start : start + QUERIES_AT_ONCE] @ items.T
            found[start : start + QUERIES_AT_ONCE] = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        return found


def _rerank(first: DirectionRanks, items: Indices, scores: NDArray[np.float32], relevance: Relevance) -> DirectionRanks:
    query = first.query
    columns = items[query]
    rows = np.repeat(query, columns.shape[1])
    correct = relevance.contains(rows, columns.ravel()).reshape(columns.shape)
    return reranked(first, scores[query], correct)
