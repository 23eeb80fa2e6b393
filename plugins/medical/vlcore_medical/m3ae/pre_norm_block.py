"""The layer of CLIP's image tower, which M3AE's pixel decoder is made of too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.models.fusion.attention import Attention


class PreNormBlock(nn.Module):
    """Attention and a feed-forward network, each behind a norm and added to what came in (CLIP, arXiv 2103.00020).

    Args:
        width: D.
        heads: that D is divided among.
        intermediate: hidden width of the feed-forward network.
    """

    def __init__(self, width: int, heads: int, intermediate: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout=0.0)
        self.output_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, intermediate)
        self.contract = nn.Linear(intermediate, width)

    def forward(self, states: Tensor) -> Tensor:
        """Mix states `[B, L, D]`."""
        everything = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        normed = self.attention_norm(states)
        states = states + self.attention(normed, normed, everything)
        hidden = self.expand(self.output_norm(states))
        output: Tensor = states + self.contract(hidden * torch.sigmoid(1.702 * hidden))  # QuickGELU
        return output
