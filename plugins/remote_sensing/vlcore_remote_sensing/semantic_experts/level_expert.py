"""One level of the semantic experts: look concepts up, attend to them, and think."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vlcore_remote_sensing.semantic_experts.concept_retrieval import retrieve


class LevelOutput(NamedTuple):
    """What one level adds and why.

    Attributes:
        enriched: `[B, D]`.
        rows: `[B, k]` of the level's concepts, nearest first.
        weight: `[B, 1 + k]` attention, the null concept first; rows sum to 1.
    """

    enriched: Tensor
    rows: Tensor
    weight: Tensor


class LevelExpert(nn.Module):
    """Enriches the tokens of one level with the concepts nearest to them (arXiv 2506.21863, abstract).

    The tokens' projection begins at zero, so that retrieval begins with the image's own embedding, which is aligned
    with the concepts already. Retrieval itself has no gradient; the projection learns through the attention.

    Args:
        token_width: W of the level's tokens.
        embedding_size: D.
        concepts: k, how many are looked up.
        heads: of the attention; D is a multiple of them.
        dropout: of the expert.
    """

    def __init__(self, token_width: int, embedding_size: int, concepts: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.concepts = concepts
        self.norm = nn.LayerNorm(token_width)
        self.projection = nn.Linear(token_width, embedding_size)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        # For tiles that show nothing of the table: without it the attention must take something.
        self.null = nn.Parameter(torch.randn(1, 1, embedding_size) * embedding_size**-0.5)
        self.attention = nn.MultiheadAttention(embedding_size, heads, batch_first=True)
        self.expert = nn.Sequential(
            nn.LayerNorm(embedding_size),
            nn.Linear(embedding_size, 2 * embedding_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * embedding_size, embedding_size),
        )

    def forward(self, tokens: Tensor, embedding: Tensor, concepts: Tensor) -> LevelOutput:
        """Enrich a level.

        Args:
            tokens: `[B, T, W]` of the level.
            embedding: `[B, D]` of unit norm, of the image without experts.
            concepts: `[C, D]` of unit norm, of the level; may be empty.
        """
        queries = embedding[:, None] + self.projection(self.norm(tokens))  # [B, T, D]
        found = retrieve(queries.detach().mean(dim=1), concepts, self.concepts)
        keys = torch.cat([self.null.expand(len(queries), -1, -1), concepts[found.rows]], dim=1)  # [B, 1 + k, D]
        attended, weight = self.attention(queries, keys, keys, need_weights=True)
        enriched = self.expert(queries + attended).mean(dim=1)
        return LevelOutput(enriched, found.rows, weight.mean(dim=1))
