"""Negatives that a model takes for matches, drawn from the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Negatives(NamedTuple):
    """Rows of the batch that do not belong together.

    Attributes:
        image: `[N]` row of the image.
        text: `[N]` row of the text.
    """

    image: Tensor
    text: Tensor


def sample_hard_negatives(similarity: Tensor, positives: Tensor) -> Negatives:
    """One image for each text and one text for each image, likelier the more similar they are.

    ALBEF (arXiv 2107.07651, section 3.2) draws from the softmax of the contrastive logits without the diagonal; here
    no positive can be drawn, so neither another caption of the image nor the same words are taken for a negative. A
    row without a single negative (a batch of one sentence) draws none.

    Args:
        similarity: `[B, B]` logits of images (rows) and texts (columns).
        positives: `[B, B]` bool, True where image and text belong together.

    Returns:
        Up to 2 B pairs: those that were found for the texts, then those for the images.
    """
    logits = similarity.detach().float().masked_fill(positives, -torch.inf)
    images, of_text = _draw(logits.T)
    texts, of_image = _draw(logits)
    return Negatives(torch.cat([images, of_image]), torch.cat([of_text, texts]))


def _draw(logits: Tensor) -> tuple[Tensor, Tensor]:
    """A column `[M]` for each of the M rows that have one, and the rows."""
    rows = (~torch.isinf(logits)).any(dim=1).nonzero().squeeze(1)
    # Drawing by Gumbel noise: the largest of logit + noise is distributed as the softmax.
    noise = -torch.empty_like(logits[rows]).exponential_().log()
    return (logits[rows] + noise).argmax(dim=1), rows
