"""Queries with their top hits, easy and hard, in both directions, for the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import DirectionRanks, RetrievalRanks
from vlcore.retrieval.evaluation_set import EvaluationSet

HITS = 5

Floats = NDArray[np.float32]


def retrieval_examples(
    chosen: EvaluationSet,
    image: Floats,
    text: Floats,
    ranks: RetrievalRanks,
    tolerant: Relevance,
    *,
    count: int = 12,
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Queries spread evenly over the ranks, and the worst failures, each with its five best hits.

    Args:
        chosen: images and captions.
        image: `[N, D]`.
        text: `[M, D]`.
        ranks: of both directions.
        tolerant: decides whether a hit is right, so that a twin of the right item is not shown as wrong.
        count: of each kind and direction.

    Returns:
        By direction `{"spread": [...], "worst": [...]}`. From text to image `{"caption", "image_id", "image",
        "member", "rank", "hits": [{"id", "image", "member", "score", "correct"}]}`; from image to text `{"image_id",
        "image", "member", "captions", "rank", "hits": [{"caption", "id", "score", "correct"}]}`.
    """
    described: dict[str, Callable[[int], dict[str, Any]]] = {
        "text_to_image": lambda query: _of_text(query, chosen, image, text, tolerant),
        "image_to_text": lambda query: _of_image(query, chosen, image, text, tolerant),
    }
    examples: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for direction, describe in described.items():
        side: DirectionRanks = getattr(ranks, direction)
        owners = side.query if direction == "image_to_text" else np.asarray(chosen.caption_image)[side.query]
        examples[direction] = {
            kind: [{"rank": int(side.rank[at]), **describe(int(side.query[at]))} for at in places]
            for kind, places in _pick(side.rank, owners, count).items()
        }
    return examples


def _pick(rank: NDArray[np.int64], owners: NDArray[np.int64], count: int) -> dict[str, list[int]]:
    """Queries that are shown, at most one of an image."""
    order = np.argsort(rank, kind="stable")
    even = order[np.linspace(0, len(order) - 1, min(len(order), 4 * count)).astype(int)]
    spread = _one_per_image(even, owners)
    if len(spread) > count:
        spread = [spread[int(place)] for place in np.linspace(0, len(spread) - 1, count)]
    return {"spread": spread, "worst": _one_per_image(order[::-1], owners)[:count]}


def _one_per_image(order: NDArray[np.int64], owners: NDArray[np.int64]) -> list[int]:
    """The first query of each image in the given order."""
    first: dict[int, int] = {}
    for at in order.tolist():
        first.setdefault(int(owners[at]), at)
    return list(first.values())


def _of_text(query: int, chosen: EvaluationSet, image: Floats, text: Floats, tolerant: Relevance) -> dict[str, Any]:
    score, best = _best(image @ text[query])
    correct = tolerant.contains(best, np.full(len(best), query))
    hits = [
        {**_place("id", chosen, int(index)), "score": round(float(score[index]), 4), "correct": bool(right)}
        for index, right in zip(best, correct, strict=True)
    ]
    return {"caption": chosen.captions[query], **_place("image_id", chosen, chosen.caption_image[query]), "hits": hits}


def _of_image(query: int, chosen: EvaluationSet, image: Floats, text: Floats, tolerant: Relevance) -> dict[str, Any]:
    score, best = _best(text @ image[query])
    correct = tolerant.contains(np.full(len(best), query), best)
    hits = [
        {
            "caption": chosen.captions[index],
            "id": chosen.ids[chosen.caption_image[index]],
            "score": round(float(score[index]), 4),
            "correct": bool(right),
        }
        for index, right in zip(best, correct, strict=True)
    ]
    own = [caption for caption, owner in zip(chosen.captions, chosen.caption_image, strict=True) if owner == query]
    return {**_place("image_id", chosen, query), "captions": own, "hits": hits}


def _best(score: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Scores, and the places of the highest."""
    return score, np.argsort(-score, kind="stable")[:HITS]


def _place(name: str, chosen: EvaluationSet, index: int) -> dict[str, Any]:
    ref = chosen.images[index]
    return {name: chosen.ids[index], "image": str(ref.path), "member": ref.member}
