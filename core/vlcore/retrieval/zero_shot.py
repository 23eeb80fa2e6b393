"""Classification by words: which of these labels fits an image best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore.retrieval.prompts import PromptSet, prompt_set

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model


@dataclass(frozen=True)
class ZeroShotResult:
    """Probabilities of N images over C labels.

    Attributes:
        labels: C labels in the order given.
        probability: `[N, C]` float32; rows sum to 1.
    """

    labels: list[str]
    probability: NDArray[np.float32]

    def best(self) -> list[str]:
        """The most probable label of each image."""
        return [self.labels[index] for index in self.probability.argmax(axis=1)]


def label_embeddings(model: Model, labels: Sequence[str], prompts: PromptSet | str) -> NDArray[np.float32]:
    """One unit vector per label `[C, D]`: the mean of its prompts' unit vectors, normalised again.

    Prompt ensembling as in CLIP (arXiv 2103.00020, section 3.1.4). Underscores of labels are read as spaces.

    Raises:
        ConfigurationError: if there are no labels, or one is empty or occurs twice.
    """
    if not labels or any(not label.strip() for label in labels) or len(set(labels)) != len(labels):
        raise ConfigurationError(f"Labels must be at least one, none empty, none twice; got {list(labels)!r}.")
    templates = prompt_set(prompts)
    sentences = [sentence for label in labels for sentence in templates.fill(label.replace("_", " "))]
    vectors = model.embed_texts(sentences).reshape(len(labels), len(templates.templates), -1)
    mean = vectors.astype(np.float64).mean(axis=1)
    unit: NDArray[np.float32] = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return unit


def label_probabilities(
    images: NDArray[np.float32], labels: NDArray[np.float32], logit_scale: float
) -> NDArray[np.float32]:
    """Softmax over labels of scaled cosines: `[N, D]` and `[C, D]` to `[N, C]`."""
    logit = logit_scale * (images.astype(np.float64) @ labels.astype(np.float64).T)
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    probability: NDArray[np.float32] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return probability
