"""Recall at 1, 5 and 10, ranks, their chance levels and their intervals. Recalls are per cent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError
from vlcore.metrics.bootstrap import Floats, bootstrap_interval
from vlcore.metrics.relevance import Indices
from vlcore.metrics.retrieval import DirectionRanks, RetrievalRanks

CUTS = (1, 5, 10)
RECALLS = ("r1", "r5", "r10")


@dataclass(frozen=True)
class DirectionScores:
    """One direction.

    Attributes:
        r1: per cent of queries with a correct item in first place.
        r5: likewise among the first five.
        r10: likewise among the first ten.
        median_rank: of the best-placed correct item, from 1.
        mean_rank: likewise.
        queries: how many there were.
        gallery: how many items were searched.
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float
    queries: int
    gallery: int


@dataclass(frozen=True)
class RetrievalScores:
    """Both directions and their mean.

    Attributes:
        image_to_text: an image looks for its captions.
        text_to_image: a caption looks for its image.
        mean_recall: mean of the six recalls, per cent.
    """

    image_to_text: DirectionScores
    text_to_image: DirectionScores
    mean_recall: float

    @classmethod
    def from_ranks(cls, ranks: RetrievalRanks) -> RetrievalScores:
        """Summarise ranks."""
        return cls.from_directions(_summary(ranks.image_to_text), _summary(ranks.text_to_image))

    @classmethod
    def from_directions(cls, image_to_text: DirectionScores, text_to_image: DirectionScores) -> RetrievalScores:
        """Join two directions and take the mean recall."""
        recalls = [getattr(side, name) for side in (image_to_text, text_to_image) for name in RECALLS]
        return cls(image_to_text, text_to_image, sum(recalls) / len(recalls))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RetrievalScores:
        """Read back what `to_dict` wrote.

        Raises:
            EvaluationError: if a part is missing.
        """
        try:
            image_to_text, text_to_image = (
                DirectionScores(**{name: values[side][name] for name in DirectionScores.__dataclass_fields__})
                for side in ("image_to_text", "text_to_image")
            )
            return cls(image_to_text, text_to_image, float(values["mean_recall"]))
        except (KeyError, TypeError) as error:
            raise EvaluationError(f"These are not retrieval scores, {error} is missing: {values!r}") from None


def recall_at(rank: Indices, k: int) -> float:
    """Per cent of ranks `[Q]` that are at most `k`."""
    return float(np.mean(rank <= k) * 100)


def _summary(ranks: DirectionRanks) -> DirectionScores:
    return DirectionScores(
        r1=recall_at(ranks.rank, 1),
        r5=recall_at(ranks.rank, 5),
        r10=recall_at(ranks.rank, 10),
        median_rank=float(np.median(ranks.rank)),
        mean_rank=float(np.mean(ranks.rank)),
        queries=len(ranks.rank),
        gallery=ranks.gallery,
    )


def chance_recall(positives: Indices, gallery: int, k: int) -> float:
    """Expected recall at k of a random order, per cent.

    A query with p correct of N items misses all of them with the hypergeometric probability
    C(N - p, k) / C(N, k).

    Args:
        positives: `[Q]` p of each query.
        gallery: N.
        k: places looked at.
    """
    counts, times = np.unique(positives, return_counts=True)
    k = min(k, gallery)
    # The product of (N - p - i) / (N - i) over the k places; a factor of zero where k items cannot all be wrong.
    places = np.arange(k)[:, None]
    miss = np.prod(np.maximum(gallery - counts - places, 0) / (gallery - places), axis=0)
    return float(np.average(1 - miss, weights=times) * 100)


def chance_scores(ranks: RetrievalRanks) -> RetrievalScores:
    """What a random order would score on these queries, in closed form; the median is of the mean ranks."""
    return RetrievalScores.from_directions(_chance(ranks.image_to_text), _chance(ranks.text_to_image))


def _chance(ranks: DirectionRanks) -> DirectionScores:
    # The least of p places drawn from N has the mean (N + 1) / (p + 1).
    mean = (ranks.gallery + 1) / (ranks.positives + 1)
    return DirectionScores(
        r1=chance_recall(ranks.positives, ranks.gallery, 1),
        r5=chance_recall(ranks.positives, ranks.gallery, 5),
        r10=chance_recall(ranks.positives, ranks.gallery, 10),
        median_rank=float(np.median(mean)),
        mean_rank=float(np.mean(mean)),
        queries=len(ranks.rank),
        gallery=ranks.gallery,
    )


def retrieval_intervals(
    ranks: RetrievalRanks, image_unit: Indices, text_unit: Indices, *, repeats: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """95 % bootstrap intervals of the recalls and the mean recall, `{"image_to_text": {"r1": [low, high], …}, …}`.

    The gallery stays as it is; queries are drawn by unit, for captions of one image are not independent.

    Args:
        ranks: of both directions.
        image_unit: `[N]` unit of each image: its own index, or its patient, scene or book.
        text_unit: `[M]` unit of each text, in the same numbering.
        repeats: resamples.
        seed: of the draws.
    """
    units = int(max(image_unit.max(), text_unit.max())) + 1
    sides = [(ranks.image_to_text, image_unit), (ranks.text_to_image, text_unit)]
    hits = np.concatenate([_unit_hits(side, unit, units) for side, unit in sides], axis=1)  # [units, 8]

    def statistic(weights: Floats) -> Floats:
        sums = weights @ hits
        with np.errstate(invalid="ignore"):
            recalls = np.concatenate([sums[:, 1:4] / sums[:, :1], sums[:, 5:8] / sums[:, 4:5]], axis=1) * 100
        recalls = np.nan_to_num(recalls)  # no query of this direction was drawn
        return np.concatenate([recalls, recalls.mean(axis=1, keepdims=True)], axis=1)

    ends = bootstrap_interval(statistic, units, repeats=repeats, seed=seed).tolist()
    return {
        "image_to_text": dict(zip(RECALLS, ends[0:3], strict=True)),
        "text_to_image": dict(zip(RECALLS, ends[3:6], strict=True)),
        "mean_recall": ends[6],
    }


def _unit_hits(ranks: DirectionRanks, unit: Indices, units: int) -> NDArray[np.float64]:
    """Per unit: queries, and hits at 1, 5 and 10, `[units, 4]`."""
    owner = unit[ranks.query]
    columns = [np.bincount(owner, minlength=units)]
    columns += [np.bincount(owner, weights=ranks.rank <= k, minlength=units) for k in CUTS]
    return np.stack(columns, axis=1).astype(np.float64)
