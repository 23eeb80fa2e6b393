"""Ids of word pieces to the states that a text begins with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.models.fusion.shape import FusionShape


class TextEmbedding(nn.Module):
    """Word, position and kind of token added up (BERT, arXiv 1810.04805).

    Args:
        shape: sizes.
    """

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.word = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.positions, shape.width)
        self.kind = nn.Parameter(torch.zeros(shape.width))
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, input_ids: Tensor) -> Tensor:
        """States `[B, L, D]` of ids `[B, L]`."""
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        states: Tensor = self.dropout(self.norm(self.word(input_ids) + self.position(place) + self.kind))
        return states
