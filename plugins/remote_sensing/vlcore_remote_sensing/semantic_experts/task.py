"""Training of semantic experts on an aligned model that stands still."""

from __future__ import annotations

from pathlib import Path

import vlcore
from vlcore.tasks.alignment import AlignmentTask
from vlcore.tasks.schedule import ScheduleName
from vlcore_remote_sensing.semantic_experts.expert_model import with_experts
from vlcore_remote_sensing.semantic_experts.knowledge_base import read_knowledge_base, seed_knowledge_base


class SemanticExpertTask(AlignmentTask):
    """Trains the experts of an aligned model, and its temperature, by InfoNCE on the enriched embedding.

    Towers and heads of the aligned model do not learn, so a loss on the plain embedding would be a constant, and
    towers' features are cached. Captions of one image, and captions that say the same, are positives of each other.

    Args:
        aligned: model directory without experts, as `vlcore align` writes.
        knowledge_base: CSV or Parquet table of concepts; the plugin's own if left out.
        taps: three blocks of the image tower, counted from 1; a third, two thirds and all of the way if left out.
        attention_heads: of each level; the embedding size is a multiple of them.
        dropout: of the experts.
        learning_rate: peak.
        weight_decay: of matrices; biases, norms and scales do not decay.
        betas: of AdamW.
        schedule: `cosine` to zero or `constant`.
        warmup: optimiser steps if a whole number, share of the run if a fraction.

    Raises:
        ModelDirectoryError: if the aligned model is missing or changed.
        ManifestError: if the knowledge base has bad rows.
        ConfigurationError: if the parts do not fit together.
    """

    def __init__(
        self,
        aligned: str,
        knowledge_base: str | None = None,
        taps: tuple[int, int, int] | None = None,
        attention_heads: int = 4,
        dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.98),
        schedule: ScheduleName = "cosine",
        warmup: int | float = 0.05,
    ) -> None:
        base = seed_knowledge_base() if knowledge_base is None else read_knowledge_base(Path(knowledge_base))
        network = with_experts(
            vlcore.load(aligned, device="cpu"), base, taps=taps, attention_heads=attention_heads, dropout=dropout
        )
        super().__init__(
            model=network.train(),
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            betas=betas,
            schedule=schedule,
            warmup=warmup,
        )
        network.text_head.eval()
