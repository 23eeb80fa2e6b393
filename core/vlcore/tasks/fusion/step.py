"""One training step of a fusion model: what several objectives need is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vlcore.models.fusion.network import FusionNetwork
from vlcore.models.fusion.stream import FusionOutput, States
from vlcore.objectives.feature_queue import FeatureQueue
from vlcore.objectives.hard_negatives import sample_hard_negatives
from vlcore.objectives.momentum_contrast import PairFeatures
from vlcore.types import PairBatch, VisualTokens


@dataclass(frozen=True)
class Teacher:
    """The momentum model in one step.

    Attributes:
        network: that follows slowly.
        visual: tokens of the batch's images by the momentum tower.
        alpha: weight of its opinion, 0..1.
        queue: what it made of earlier batches, or None.
        gather: rows of all processes, this one's first.
    """

    network: FusionNetwork
    visual: VisualTokens
    alpha: float
    queue: FeatureQueue | None
    gather: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pairs:
    """Fused pairs of a batch: those that belong together, then those that do not.

    Attributes:
        output: of all of them.
        matches: `[N]` bool.
        text_mask: `[N, L]` bool.
        image_mask: `[N, R]` bool, without the whole image.
    """

    output: FusionOutput
    matches: Tensor
    text_mask: Tensor
    image_mask: Tensor


class FusionStep:
    """A batch in the middle of a training step.

    Args:
        network: that learns.
        batch: B pairs with ids.
        visual: tokens of their images.
        teacher: the momentum model, or None.
    """

    def __init__(
        self, network: FusionNetwork, batch: PairBatch, visual: VisualTokens, teacher: Teacher | None = None
    ) -> None:
        assert batch.input_ids is not None and batch.attention_mask is not None
        self.network = network
        self.batch = batch
        self.input_ids, self.attention_mask = batch.input_ids, batch.attention_mask
        self.visual = visual
        self.teacher = teacher

    @cached_property
    def text(self) -> States:
        """The texts, read alone."""
        return self.network.stream.read_text(self.input_ids, self.attention_mask)

    @cached_property
    def image(self) -> States:
        """The images, read alone."""
        return self.network.stream.read_image(self.visual)

    @cached_property
    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Images and texts alone as unit vectors `[B, E]`."""
        return self.network.embed_image(self.image), self.network.embed_text(self.text)

    @cached_property
    def positives(self) -> Tensor:
        """`[B, B]` bool: images (rows) and texts (columns) that belong together."""
        image, text = self.batch.image_index, self.batch.text_key
        return (image[:, None] == image) | (text[:, None] == text)

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs of the batch, and hard negatives of them."""
        if self.network.embedding_size is None:
            # Nothing says which negatives are hard: all are alike.
            similarity = torch.zeros_like(self.positives, dtype=torch.float32)
        else:
            image_vectors, text_vectors = self.embeddings
            similarity = self.network.logit_scale.exp() * image_vectors @ text_vectors.T
        negatives = sample_hard_negatives(similarity, self.positives)
        rows = torch.arange(len(self.batch), device=self.positives.device)
        images, texts = torch.cat([rows, negatives.image]), torch.cat([rows, negatives.text])
        text = self.text.take(texts)
        return Pairs(
            output=self.network.stream.fuse(text, self.image.take(images)),
            matches=torch.arange(len(images), device=rows.device) < len(rows),
            text_mask=text.mask,
            image_mask=self.visual.mask[images],
        )

    @cached_property
    def teacher_features(self) -> PairFeatures:
        """The momentum model's unit vectors of the pairs of all processes, this one's first."""
        assert self.teacher is not None
        network, gather = self.teacher.network, self.teacher.gather
        with torch.no_grad():
            text = network.embed_text(network.stream.read_text(self.input_ids, self.attention_mask))
            image = network.embed_image(network.stream.read_image(self.teacher.visual))
        return PairFeatures(gather(image), gather(text), gather(self.batch.image_index), gather(self.batch.text_key))
