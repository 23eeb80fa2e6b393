"""The layer that all fusion encoders are made of."""

from __future__ import annotations

from torch import Tensor, nn

from vlcore.models.fusion.attention import Attention
from vlcore.models.fusion.shape import FusionShape


class FusionLayer(nn.Module):
    """A layer of BERT (arXiv 1810.04805): attention, then a feed-forward network, each with a norm behind the sum.

    Args:
        shape: sizes.
        reads_memory: attend to a memory too, between the two, as ALBEF's upper layers do.
    """

    def __init__(self, shape: FusionShape, reads_memory: bool = False) -> None:
        super().__init__()
        self.attention = Attention(shape.width, shape.heads, shape.dropout)
        self.attention_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.memory_attention = Attention(shape.width, shape.heads, shape.dropout) if reads_memory else None
        self.memory_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon) if reads_memory else None
        self.expand = nn.Linear(shape.width, shape.intermediate)
        self.contract = nn.Linear(shape.intermediate, shape.width)
        self.output_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(
        self, states: Tensor, mask: Tensor, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Mix states `[B, L, D]` with mask `[B, L]`, and a memory `[B, S, D]` with mask `[B, S]` where it is read."""
        states = self.attention_norm(states + self.dropout(self.attention(states, states, mask)))
        if self.memory_attention is not None and self.memory_norm is not None:
            states = self.memory_norm(states + self.dropout(self.memory_attention(states, memory, memory_mask)))
        hidden = self.contract(nn.functional.gelu(self.expand(states)))
        output: Tensor = self.output_norm(states + self.dropout(hidden))
        return output
