"""Concepts as vectors of a model's own space, kept for as long as neither the model nor the rows change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.data.feature_store import FeatureCache, default_cache_root
from vlcore.retrieval.model import Model
from vlcore.retrieval.prompts import PromptSet
from vlcore.retrieval.zero_shot import label_embeddings
from vlcore_remote_sensing.prompts import AERIAL
from vlcore_remote_sensing.semantic_experts.concept import Concept
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase

DEFINITION_SHARE = 0.25
"""Share of the definition in a concept's vector; see `benchmarks/semantic_experts.py` for how it was chosen."""


def embed_concepts(
    model: Model,
    base: KnowledgeBase,
    *,
    languages: tuple[str, ...] = ("en",),
    definition_share: float = DEFINITION_SHARE,
    prompts: PromptSet = AERIAL,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Embed each concept's labels and definition with the model's own text tower.

    A row's vector depends on that row alone, so one more row leaves the others as they are.

    Args:
        model: whose text side embeds.
        base: C concepts.
        languages: of the labels that are averaged, where a concept has them; those that the text tower reads.
        definition_share: weight of the definition against the labels, 0 to 1.
        prompts: around labels.
        cache: folder of all caches; `$VLCORE_CACHE` or `~/.cache/vlcore` if left out.

    Returns:
        `[C, D]` float32 of unit norm.
    """
    settings = [model.fingerprint, sorted(languages), definition_share, prompts.templates]
    maker = hashlib.sha256(json.dumps(["semantic experts 1", *settings]).encode()).hexdigest()
    store = FeatureCache(cache or default_cache_root(), maker, model.embedding_size)
    keys = [hashlib.sha256(json.dumps(concept.to_row(), sort_keys=True).encode()).digest() for concept in base.concepts]
    missing = set(store.missing(keys))
    wanted = [(key, concept) for key, concept in zip(keys, base.concepts, strict=True) if key in missing]
    if wanted:
        rows = _embed(model, [concept for _, concept in wanted], languages, definition_share, prompts)
        store.append([key for key, _ in wanted], rows)
    return store.rows(keys)


def _embed(
    model: Model, concepts: list[Concept], languages: tuple[str, ...], definition_share: float, prompts: PromptSet
) -> NDArray[np.float32]:
    labels = [[concept.labels[name] for name in languages if name in concept.labels] for concept in concepts]
    # A concept without a label in these languages goes by its English name, which every row has.
    labels = [own or [concept.name] for own, concept in zip(labels, concepts, strict=True)]
    distinct = list(dict.fromkeys(label for own in labels for label in own))
    vectors = dict(zip(distinct, label_embeddings(model, distinct, prompts), strict=True))
    by_label = unit(np.stack([np.mean([vectors[label] for label in own], axis=0) for own in labels]))
    by_definition = model.embed_texts([concept.definition for concept in concepts])
    return unit((1 - definition_share) * by_label + definition_share * by_definition)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows `[N, D]` of length 1."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
