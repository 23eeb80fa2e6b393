"""Guesses hidden words from their states."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedLanguageHead(nn.Module):
    """A transformation and a decoder whose weights are the word embeddings (BERT, arXiv 1810.04805).

    Args:
        width: D.
        vocabulary: V.
        norm_epsilon: added to variances.
    """

    def __init__(self, width: int, vocabulary: int, norm_epsilon: float = 1e-12) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Logits `[N, V]` of states `[N, D]`, with word embeddings `[V, D]`."""
        hidden = self.norm(nn.functional.gelu(self.transform(states)))
        return nn.functional.linear(hidden, words.to(hidden.dtype), self.bias.to(hidden.dtype))
