"""Aligned models with semantic experts, and the change of what they know."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from vlcore.errors import ConfigurationError
from vlcore.models.dual_encoder import DualEncoder
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.semantic_experts.concept_embeddings import embed_concepts
from vlcore_remote_sensing.semantic_experts.expert_head import ConceptName, SemanticExpertHead
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase
from vlcore_remote_sensing.semantic_experts.level_encoder import LevelEncoder


def with_experts(
    model: Model,
    base: KnowledgeBase,
    *,
    taps: tuple[int, int, int] | None = None,
    attention_heads: int = 4,
    dropout: float = 0.1,
    cache: Path | None = None,
) -> DualEncoder:
    """Put experts on an aligned model; its embeddings stay what they were until the experts are trained.

    All but the experts is frozen. The result is saved and loaded as any dual encoder.

    Args:
        model: aligned, without experts.
        base: its concepts.
        taps: three blocks of the image tower, counted from 1; a third, two thirds and all of the way if left out.
        attention_heads: of each level.
        dropout: of the experts.
        cache: folder of all caches.

    Raises:
        ConfigurationError: if the model has experts already, or the parts do not fit together.
    """
    # Everything is copied: the plain model is not to change when this one is trained.
    network = copy.deepcopy(model.network)
    if isinstance(network.image_head, SemanticExpertHead):
        raise ConfigurationError(
            "The model has semantic experts already: use with_knowledge_base to change its concepts."
        )
    blocks = len(network.image_encoder.blocks())
    tower = LevelEncoder(network.image_encoder, taps or (round(blocks / 3), round(2 * blocks / 3), blocks))
    tower.set_trainable("none")
    network.text_encoder.set_trainable("none")
    head = SemanticExpertHead(network.image_head, tower.layout, (), attention_heads, dropout).to(model.device)
    _set_concepts(head, model, base, cache)
    settings = network.config()
    network.text_head.requires_grad_(False).eval()
    return DualEncoder(tower, network.text_encoder, head, network.text_head, **settings).to(model.device).eval()


def with_knowledge_base(model: Model, base: KnowledgeBase, *, cache: Path | None = None) -> DualEncoder:
    """A copy of a model with experts that knows other concepts, without training.

    Raises:
        ConfigurationError: if the model has no semantic experts.
    """
    network = copy.deepcopy(model.network)
    _set_concepts(expert_head(network), model, base, cache)
    return network


def expert_head(network: DualEncoder) -> SemanticExpertHead:
    """The head with experts of a model.

    Raises:
        ConfigurationError: if it has none.
    """
    if not isinstance(network.image_head, SemanticExpertHead):
        raise ConfigurationError(
            f"The model's image head is a {type(network.image_head).__name__} without semantic experts. Make them with "
            f"vlcore_remote_sensing.semantic_experts.expert_model.with_experts."
        )
    return network.image_head


def _set_concepts(head: SemanticExpertHead, model: Model, base: KnowledgeBase, cache: Path | None) -> None:
    names = [ConceptName(concept.id, concept.level, concept.name) for concept in base.concepts]
    head.set_concepts(names, torch.from_numpy(embed_concepts(model, base, cache=cache)))
