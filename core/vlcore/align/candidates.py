"""Alignments that were tried, with the scores they were chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vlcore.align.features import PairedFeatures
from vlcore.heads.base import Head
from vlcore.metrics.retrieval import retrieval_ranks
from vlcore.metrics.retrieval_scores import RetrievalScores


@dataclass(frozen=True)
class Candidate:
    """One way to align, scored on held-out parts of the training split.

    Attributes:
        name: `closed form` or the kind of learned heads.
        settings: what distinguishes it from others of its name.
        scores: mean recall on each held-out part, per cent.
        seconds: time it took to try.
    """

    name: str
    settings: dict[str, Any]
    scores: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean over the held-out parts, per cent."""
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float | None:
        """Standard deviation over the held-out parts, per cent; None for one part, which has none."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and the report."""
        return {
            "name": self.name,
            "settings": self.settings,
            "scores": list(self.scores),
            "mean": self.mean,
            "std": self.spread,
            "seconds": round(self.seconds, 2),
        }


@torch.inference_mode()
def held_out_recall(heads: tuple[Head, Head], held_out: PairedFeatures) -> float:
    """Mean recall of two heads on images and texts they were not fitted on, per cent."""
    image, text = (
        torch.nn.functional.normalize(head.eval()(features), dim=-1)
        for head, features in zip(heads, held_out.tensors, strict=True)
    )
    return RetrievalScores.from_ranks(retrieval_ranks(image, text, held_out.relevance)).mean_recall
