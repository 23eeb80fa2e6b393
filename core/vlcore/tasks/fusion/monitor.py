"""How well a matching head ranks, while a fusion model is trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval_scores import RetrievalScores
from vlcore.metrics.score_ranks import score_ranks
from vlcore.models.fusion.network import FusionNetwork
from vlcore.models.fusion.stream import States
from vlcore.objectives.image_text_matching import match_score

MOST_IMAGES = 64
"""Each with one text: 4,096 pairs take seconds on a processor, and all validation pairs could be millions."""


class MatchingMonitor:
    """Keeps the first distinct images of an evaluation epoch, each with one text, and ranks all pairs of them."""

    def __init__(self) -> None:
        self._text: list[States] = []
        self._image: list[States] = []
        self._seen: set[int] = set()

    def add(self, text: States, image: States, image_index: Tensor) -> None:
        """Keep what is new of a batch of B pairs; `image_index` `[B]` says which images they are of."""
        for row, index in enumerate(image_index.tolist()):
            if len(self._seen) < MOST_IMAGES and index not in self._seen:
                self._seen.add(index)
                self._text.append(_row(text, row))
                self._image.append(_row(image, row))

    @torch.no_grad()
    def compute(self, network: FusionNetwork) -> RetrievalScores | None:
        """Scores of this process's images, after which the monitor is empty; None if there were none."""
        if not self._seen:
            return None
        texts, image = [text.tokens for text in self._text], self._image
        self._text, self._image, self._seen = [], [], set()
        images = States(_padded([one.tokens for one in image]), _padded([one.mask for one in image]))
        scores = []
        for text in texts:
            words = text.expand(len(texts), -1, -1)
            mask = torch.ones(words.shape[:2], dtype=torch.bool, device=words.device)
            scores.append(match_score(network.match(States(words, mask), images)).float().cpu())
        table = torch.stack(scores, dim=1).numpy()  # [N images, M texts]
        own = np.arange(len(texts))
        return RetrievalScores.from_ranks(
            score_ranks(table, Relevance.from_pairs(own, own, images=len(own), texts=len(own)))
        )


def _row(states: States, row: int) -> States:
    """One row without its padding."""
    mask = states.mask[row]
    return States(states.tokens[row, mask].detach(), mask[mask])


def _padded(rows: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
