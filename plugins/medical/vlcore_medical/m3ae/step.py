"""One pre-training step: each term hides one side and leaves the other whole, or pairs them anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.models.fusion.stream import States
from vlcore.objectives.image_text_matching import image_text_matching
from vlcore.objectives.masked_language_modeling import hidden_rows, masked_language_loss
from vlcore.objectives.text_masking import TextMasking
from vlcore.types import PairBatch
from vlcore_medical.m3ae.masked_image_modeling import masked_image_loss, patch_targets
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.negative_images import draw_images
from vlcore_medical.m3ae.patch_masking import hide_patches

TermName = Literal["masked_language", "masked_image", "matching"]


@dataclass(frozen=True)
class Hiding:
    """How words and patches are hidden, and images drawn.

    Attributes:
        words: hides them.
        patches: share of an image's that is hidden.
        normalise_pixels: guess each patch's pixels relative to their own mean and variance.
        negatives_may_match: draw images of negatives from all.
    """

    words: TextMasking
    patches: float = 0.75
    normalise_pixels: bool = True
    negatives_may_match: bool = False


class M3AEStep:
    """A batch in the middle of a training step; what several terms need is computed once.

    Args:
        model: that learns.
        batch: B pairs with images and ids.
        hiding: what is hidden.
    """

    def __init__(self, model: M3AEModel, batch: PairBatch, hiding: Hiding) -> None:
        if batch.images is None or batch.input_ids is None or batch.attention_mask is None:
            raise ConfigurationError("M3AE reads images and texts: the batch has cached features in their place.")
        self.model = model
        self.batch = batch
        self.hiding = hiding
        self.images, self.input_ids, self.attention_mask = batch.images, batch.input_ids, batch.attention_mask

    @cached_property
    def text(self) -> States:
        """The texts, read alone and whole."""
        return self.model.network.stream.read_text(self.input_ids, self.attention_mask)

    @cached_property
    def image(self) -> States:
        """The images, read alone and whole."""
        return self.model.network.stream.read_image(self.model.encode_images(self.images))

    def masked_language(self) -> Tensor:
        """Hidden words are guessed from the rest of the text and the whole image."""
        network = self.model.network
        masked = self.hiding.words(self.input_ids, self.attention_mask)
        output = network.stream.fuse(network.stream.read_text(masked.input_ids, self.attention_mask), self.image)
        states, words = hidden_rows(output.text, masked.labels)
        return masked_language_loss(network.guess_words(states), words)

    def masked_image(self) -> Tensor:
        """Pixels of hidden patches are guessed from the other patches and the whole text."""
        shape = self.model.network.m3ae_shape
        kept, hidden = hide_patches(len(self.batch), shape.patches, self.hiding.patches, self.images.device)
        predicted = self.model.network.guess_pixels(self.text, self.model.read_kept(self.images, kept), kept)
        pixels = self.model.image_encoder.normalise(self.images)
        return masked_image_loss(predicted, patch_targets(pixels, shape.patch, self.hiding.normalise_pixels), hidden)

    def matching(self) -> Tensor:
        """The model tells whether texts have their own image."""
        image, text = self.batch.image_index, self.batch.text_key
        positives = (image[:, None] == image) | (text[:, None] == text)
        drawn = draw_images(positives, self.hiding.negatives_may_match)
        logits = self.model.network.match(self.text, self.image.take(drawn.image))
        return image_text_matching(logits, drawn.matches)


TERMS: Mapping[TermName, Callable[[M3AEStep], Tensor]] = {
    "masked_language": M3AEStep.masked_language,
    "masked_image": M3AEStep.masked_image,
    "matching": M3AEStep.matching,
}


def summed(losses: Mapping[TermName, Tensor], weights: Mapping[TermName, float]) -> Tensor:
    """Weighted sum of the terms."""
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
