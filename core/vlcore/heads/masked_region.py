"""Guess hidden regions from their states."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedRegionFeatures(nn.Module):
    """Features of regions, by the transpose of the projection that they came in through (UNITER, arXiv 1909.11740).

    Args:
        width: D.
        in_features: W of the regions.
    """

    def __init__(self, width: int, in_features: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(in_features))

    def forward(self, states: Tensor, projection: Tensor) -> Tensor:
        """Features `[N, W]` of states `[N, D]`, with the projection's weight `[D, W]`."""
        hidden = self.norm(nn.functional.gelu(self.transform(states)))
        return nn.functional.linear(hidden, projection.T.to(hidden.dtype), self.bias.to(hidden.dtype))


class MaskedRegionClasses(nn.Module):
    """Classes of regions.

    Args:
        width: D.
        classes: K.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, classes)

    def forward(self, states: Tensor) -> Tensor:
        """Logits `[N, K]` of states `[N, D]`."""
        logits: Tensor = self.classes(self.norm(nn.functional.gelu(self.transform(states))))
        return logits
