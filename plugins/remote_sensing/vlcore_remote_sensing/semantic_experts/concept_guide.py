"""A knowledge base put to use without any training: images move towards their concepts, queries take definitions in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vlcore.retrieval.model import Model
from vlcore.retrieval.zero_shot import label_embeddings
from vlcore_remote_sensing.prompts import AERIAL
from vlcore_remote_sensing.semantic_experts.concept import Level
from vlcore_remote_sensing.semantic_experts.concept_embeddings import DEFINITION_SHARE, embed_concepts
from vlcore_remote_sensing.semantic_experts.concept_retrieval import retrieve
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase


@dataclass(frozen=True)
class GuideSettings:
    """How far images move; chosen on classes that an alignment had not seen (`benchmarks/semantic_experts.py`).

    Attributes:
        concepts: k, how many are looked up per image.
        temperature: of the softmax over their cosines.
        strength: length of the concepts' mean beside the image's own unit vector; 0 leaves images alone.
        definition_share: weight of a concept's definition against its labels, 0 to 1.
    """

    concepts: int = 8
    temperature: float = 0.1
    strength: float = 1.0
    definition_share: float = DEFINITION_SHARE


class ConceptGuide:
    """Embeds images and queries of a model with the help of a table of concepts.

    Concepts compete for each image: one more row draws the images that it fits better than any other row does. Both
    sides of a comparison have to come from the same guide.

    Args:
        model: aligned.
        base: its concepts.
        level: whose concepts are used.
        settings: how far images move.
        cache: folder of all caches; `$VLCORE_CACHE` or `~/.cache/vlcore` if left out.
    """

    def __init__(
        self,
        model: Model,
        base: KnowledgeBase,
        level: Level = "scene",
        settings: GuideSettings | None = None,
        cache: Path | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or GuideSettings()
        chosen = KnowledgeBase(base.of_level(level))
        share = self.settings.definition_share
        self.vectors = embed_concepts(model, chosen, definition_share=share, cache=cache)
        self._row = {
            label.casefold(): row for row, concept in enumerate(chosen.concepts) for label in concept.labels.values()
        }

    def images(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move embeddings of images `[N, D]` of unit norm, from `Model.embed_images` or an index."""
        return move_towards_concepts(vectors, self.vectors, self.settings)

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed queries `[N, D]`: those that are a label of a concept by its row, others as the model itself does."""
        rows = [self._row.get(" ".join(text.split()).casefold()) for text in texts]
        others = list(dict.fromkeys(text for text, row in zip(texts, rows, strict=True) if row is None))
        plain = dict(zip(others, label_embeddings(self.model, others, AERIAL), strict=True)) if others else {}
        return np.stack(
            [plain[text] if row is None else self.vectors[row] for text, row in zip(texts, rows, strict=True)]
        )


def move_towards_concepts(
    images: NDArray[np.float32], concepts: NDArray[np.float32], settings: GuideSettings
) -> NDArray[np.float32]:
    """Add to each image the mean of its nearest concepts, weighted by a softmax of their cosines.

    Args:
        images: `[N, D]` of unit norm.
        concepts: `[C, D]` of unit norm.
        settings: how many and how far.

    Returns:
        `[N, D]` float32 of unit norm.
    """
    vectors, table = torch.tensor(images), torch.tensor(concepts)
    found = retrieve(vectors, table, settings.concepts)
    weight = (found.cosine / settings.temperature).softmax(dim=1)
    mean = torch.einsum("nk,nkd->nd", weight, table[found.rows])
    moved: NDArray[np.float32] = F.normalize(vectors + settings.strength * mean, dim=1).numpy()
    return moved
