"""The image head with semantic experts: the plain head, and what its levels' concepts add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlcore.errors import ConfigurationError
from vlcore.heads.base import Head
from vlcore.hub.safe_loading import class_path, resolve_class
from vlcore_remote_sensing.semantic_experts.concept import LEVELS, Level
from vlcore_remote_sensing.semantic_experts.level_encoder import Layout
from vlcore_remote_sensing.semantic_experts.level_expert import LevelExpert, LevelOutput

RETRIEVED: Mapping[Level, int] = {"object": 8, "region": 8, "scene": 4}
"""Concepts looked up per level: many small things are in one tile, few scenes."""


class ConceptName(NamedTuple):
    """What a head remembers of a concept beside its vector."""

    id: str
    level: Level
    name: str


class ExpertOutput(NamedTuple):
    """An embedding and where it came from.

    Attributes:
        embedding: `[B, D]`, not yet normalised.
        gate: `[B, 3]` share of each level; rows sum to 1.
        levels: from fine to coarse.
    """

    embedding: Tensor
    gate: Tensor
    levels: list[LevelOutput]


class SemanticExpertHead(Head):
    """Adds to the plain embedding what one expert per level makes of its concepts (after arXiv 2506.21863).

    Every image goes through every expert; a softmax of its embedding says how much each counts. The sum is added with
    a learned scale per dimension that begins at zero: before training, and with `active` False, embeddings are those
    of the plain head to the last bit. The plain head stands still.

    Args:
        plain: head of the tower's own pooled feature.
        layout: of the rows that the tower gives (`LevelEncoder`).
        concepts: names in the order of their vectors, which `set_concepts` gives.
        attention_heads: of each level; the embedding size is a multiple of them.
        dropout: of the experts.
        active: False switches the experts off.

    Raises:
        ConfigurationError: if the parts do not fit together.
    """

    def __init__(
        self,
        plain: Head,
        layout: Layout,
        concepts: Sequence[ConceptName] = (),
        attention_heads: int = 4,
        dropout: float = 0.1,
        active: bool = True,
    ) -> None:
        super().__init__()
        size = plain.out_features
        if plain.in_features != layout.pooled:
            raise ConfigurationError(
                f"The plain head takes {plain.in_features} numbers and the tower pools {layout.pooled}: give the head "
                f"of this tower."
            )
        if size % attention_heads:
            raise ConfigurationError(
                f"attention_heads={attention_heads}: the embedding has {size} numbers; choose a divisor of it."
            )
        self.in_features, self.out_features = layout.width, size
        self.layout, self.attention_heads, self.dropout, self.active = layout, attention_heads, dropout, active
        self.plain = plain.requires_grad_(False).eval()
        self.experts = nn.ModuleList(
            LevelExpert(width, size, RETRIEVED[level], attention_heads, dropout)
            for level, width in zip(LEVELS, layout.levels, strict=True)
        )
        self.gate = nn.Linear(size, len(LEVELS))
        self.scale = nn.Parameter(torch.zeros(size))
        self.set_concepts(concepts, torch.zeros(len(concepts), size))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SemanticExpertHead:
        """Build the head with untrained weights from what `config()` returned."""
        plain, values = config["plain"], dict(config)
        kind = resolve_class(plain["class_path"], Head, "the plain head inside image_head")  # type: ignore[type-abstract]
        pooled, levels, tokens = values["layout"]
        values |= {
            "plain": kind.from_config(plain["arguments"]),
            "layout": Layout(pooled, tuple(levels), tokens),
            "concepts": [ConceptName(*concept) for concept in values["concepts"]],
        }
        return cls(**values)

    def set_concepts(self, concepts: Sequence[ConceptName], vectors: Tensor) -> None:
        """Give the head another knowledge base; nothing else changes.

        Args:
            concepts: C names.
            vectors: `[C, D]` of unit norm, in the space of the plain embedding.
        """
        if tuple(vectors.shape) != (len(concepts), self.out_features):
            raise ConfigurationError(
                f"{len(concepts)} concepts have vectors {list(vectors.shape)}: one of {self.out_features} numbers is "
                f"needed for each."
            )
        self.concepts = tuple(concepts)
        for level in LEVELS:
            rows = [place for place, concept in enumerate(concepts) if concept.level == level]
            self.register_buffer(_buffer(level), vectors[rows].to(self.scale).clone())

    def of_level(self, level: Level) -> list[ConceptName]:
        """The names of one level, in the order of its vectors."""
        return [concept for concept in self.concepts if concept.level == level]

    def forward(self, features: Tensor) -> Tensor:
        """Project rows `[B, W]` of the tower to `[B, D]`."""
        if not self.active:
            plain: Tensor = self.plain(self.layout.split(features)[0])
            return plain
        return self.enrich(features).embedding

    def enrich(self, features: Tensor) -> ExpertOutput:
        """As `forward`, with what each level did, whether the experts are switched on or not."""
        pooled, levels = self.layout.split(features)
        plain = self.plain(pooled)
        length = plain.norm(dim=-1, keepdim=True)
        embedding = F.normalize(plain, dim=-1)
        outputs = [
            expert(tokens, embedding, self.get_buffer(_buffer(level)))
            for level, expert, tokens in zip(LEVELS, self.experts, levels, strict=True)
        ]
        gate = self.gate(embedding).softmax(dim=-1)
        residual = torch.einsum("bl,lbd->bd", gate, torch.stack([output.enriched for output in outputs]))
        return ExpertOutput(plain + length * self.scale * residual, gate, outputs)

    def train(self, mode: bool = True) -> SemanticExpertHead:
        """Set the mode; the plain head stays in evaluation mode."""
        super().train(mode)
        self.plain.eval()
        return self

    def config(self) -> dict[str, Any]:
        """Plain values, the names of the concepts among them."""
        return {
            "plain": {"class_path": class_path(type(self.plain)), "arguments": self.plain.config()},
            "layout": [self.layout.pooled, list(self.layout.levels), self.layout.tokens],
            "concepts": [list(concept) for concept in self.concepts],
            "attention_heads": self.attention_heads,
            "dropout": self.dropout,
            "active": self.active,
        }


def _buffer(level: Level) -> str:
    return f"concepts_{level}"
