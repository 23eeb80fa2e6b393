"""One stream that splits: lower layers read words and regions together, upper ones each alone."""

from __future__ import annotations

import torch
from torch import nn

from vlcore.models.fusion.layer import FusionLayer
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.single_stream import joined
from vlcore.models.fusion.stream import FusionOutput, FusionStream, States, initialise


class SplitStream(FusionStream):
    """InterBERT (arXiv 2003.13198): an interaction module, then one extraction module for each side.

    Half of the layers are the interaction's. Text and image keep states of their own behind the other half, which
    retrieval and tasks on one side need. The pair's vector is the product of both sides' pooled vectors.

    Args:
        in_features: W of the visual tokens.
        shape: sizes; `layers` counts the interaction and one side.
    """

    def __init__(self, in_features: int, shape: FusionShape) -> None:
        super().__init__(in_features, shape)
        shared = shape.layers // 2
        self.layers = nn.ModuleList(FusionLayer(shape) for _ in range(shared))
        self.text_only = nn.ModuleList(FusionLayer(shape) for _ in range(shape.layers - shared))
        self.image_only = nn.ModuleList(FusionLayer(shape) for _ in range(shape.layers - shared))
        self.text_pooler = nn.Linear(shape.width, shape.width)
        self.image_pooler = nn.Linear(shape.width, shape.width)
        initialise(self)

    def fuse(self, text: States, image: States) -> FusionOutput:
        """B texts with B images."""
        shared = self.interact(text, image)
        words = text.tokens.shape[1]
        return self.extract(States(shared[:, :words], text.mask), States(shared[:, words:], image.mask))

    def interact(self, text: States, image: States) -> torch.Tensor:
        """States `[B, L + 1 + R, D]` of both sides together."""
        states, mask = joined(text, image)
        for layer in self.layers:
            states = layer(states, mask)
        return states

    def extract(self, text: States, image: States) -> FusionOutput:
        """Each side alone; nothing passes from one to the other before their vectors are multiplied."""
        words, regions = text.tokens, image.tokens
        for text_layer, image_layer in zip(self.text_only, self.image_only, strict=True):
            words, regions = text_layer(words, text.mask), image_layer(regions, image.mask)
        pooled_text = torch.tanh(self.text_pooler(words[:, 0]))
        pooled_image = torch.tanh(self.image_pooler(regions[:, 0]))
        return FusionOutput(words, regions[:, 1:], pooled_text * pooled_image)

    def text_layers(self) -> list[nn.Module]:
        """The interaction's, then the text's own."""
        return [*self.layers, *self.text_only]
