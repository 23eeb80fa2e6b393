"""Retrieval scores of the validation pairs while a model is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import retrieval_ranks
from vlcore.metrics.retrieval_scores import RetrievalScores
from vlcore.tasks.gather import gather_rows

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


class RetrievalMonitor:
    """Collects the embeddings of an evaluation epoch and ranks them at its end.

    Every caption is searched and searches; an image counts once, however many captions it has.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, image: Tensor, text: Tensor, image_index: Tensor) -> None:
        """Keep the embeddings `[B, D]` of a batch of pairs and the images `[B]` they belong to."""
        # Float64, which settles near ties, does not exist on Apple's GPUs.
        image, text = (
            side.detach().float().to("cpu" if side.device.type == "mps" else side.device) for side in (image, text)
        )
        self._parts.append((image, text, image_index))

    def compute(self, module: LightningModule) -> RetrievalScores | None:
        """Scores over all processes, after which the monitor is empty; None if there were no pairs.

        Raises:
            EvaluationError: if an embedding holds NaN or infinity.
        """
        if not self._parts:
            return None
        image, text, image_index = (gather_rows(module, torch.cat(parts)) for parts in zip(*self._parts, strict=True))
        self._parts = []
        _, first, image_of_text = np.unique(image_index.cpu().numpy(), return_index=True, return_inverse=True)
        relevance = Relevance.from_pairs(image_of_text, np.arange(len(text)), images=len(first), texts=len(text))
        distinct = image[torch.from_numpy(first).to(image.device)]
        return RetrievalScores.from_ranks(retrieval_ranks(distinct, text, relevance))
