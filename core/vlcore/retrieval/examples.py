"""Queries with their top hits, easy and hard, for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import DirectionRanks
from vlcore.retrieval.evaluation_set import EvaluationSet

HITS = 5


def retrieval_examples(
    chosen: EvaluationSet,
    image: NDArray[np.float32],
    text: NDArray[np.float32],
    ranks: DirectionRanks,
    tolerant: Relevance,
    *,
    count: int = 12,
) -> dict[str, Any]:
    """Captions spread over the ranks, and the worst failures, each with its five best images.

    Args:
        chosen: images and captions.
        image: `[N, D]`.
        text: `[M, D]`.
        ranks: text to image.
        tolerant: decides whether a hit is right, so that a twin of the right image is not shown as wrong.
        count: of each kind.

    Returns:
        `{"spread": [...], "worst": [...]}` of `{"caption", "image_id", "image", "member", "rank", "hits": [{"id",
        "image", "member", "score", "correct"}]}`.
    """
    order = np.argsort(ranks.rank, kind="stable")
    spread = _one_per_image(
        order[np.linspace(0, len(order) - 1, min(len(order), 4 * count)).astype(int)], chosen, ranks
    )
    if len(spread) > count:
        spread = [spread[int(place)] for place in np.linspace(0, len(spread) - 1, count)]
    worst = _one_per_image(order[::-1], chosen, ranks, limit=count)
    pick = {"spread": spread, "worst": worst}
    return {
        kind: [_example(int(ranks.query[at]), int(ranks.rank[at]), chosen, image, text, tolerant) for at in places]
        for kind, places in pick.items()
    }


def _one_per_image(
    order: NDArray[np.int64], chosen: EvaluationSet, ranks: DirectionRanks, limit: int | None = None
) -> list[int]:
    """The first caption of each image in the given order."""
    seen: set[int] = set()
    kept = []
    for at in order.tolist():
        owner = chosen.caption_image[ranks.query[at]]
        if owner not in seen:
            seen.add(owner)
            kept.append(at)
        if limit is not None and len(kept) == limit:
            break
    return kept


def _example(
    query: int,
    rank: int,
    chosen: EvaluationSet,
    image: NDArray[np.float32],
    text: NDArray[np.float32],
    tolerant: Relevance,
) -> dict[str, Any]:
    score = image @ text[query]
    best = np.argsort(-score, kind="stable")[:HITS]
    correct = tolerant.contains(best, np.full(len(best), query))
    return {
        "caption": chosen.captions[query],
        **_place("image_id", chosen, chosen.caption_image[query]),
        "rank": rank,
        "hits": [
            {**_place("id", chosen, int(index)), "score": round(float(score[index]), 4), "correct": bool(right)}
            for index, right in zip(best, correct, strict=True)
        ],
    }


def _place(name: str, chosen: EvaluationSet, index: int) -> dict[str, Any]:
    ref = chosen.images[index]
    return {name: chosen.ids[index], "image": str(ref.path), "member": ref.member}
