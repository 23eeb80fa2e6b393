"""One stream: all layers read words and regions together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.models.fusion.layer import FusionLayer
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.stream import FusionOutput, FusionStream, States, initialise


class SingleStream(FusionStream):
    """UNITER (arXiv 1909.11740): BERT over the words and the regions of a pair, one after the other.

    The pair's vector is the state of the text's first token behind a linear layer and a tanh.

    Args:
        in_features: W of the visual tokens.
        shape: sizes.
    """

    def __init__(self, in_features: int, shape: FusionShape) -> None:
        super().__init__(in_features, shape)
        self.layers = nn.ModuleList(FusionLayer(shape) for _ in range(shape.layers))
        self.pooler = nn.Linear(shape.width, shape.width)
        initialise(self)

    def fuse(self, text: States, image: States) -> FusionOutput:
        """B texts with B images."""
        words = text.tokens.shape[1]
        states, mask = joined(text, image)
        for layer in self.layers:
            states = layer(states, mask)
        return FusionOutput(states[:, :words], states[:, words + 1 :], torch.tanh(self.pooler(states[:, 0])))

    def text_layers(self) -> list[nn.Module]:
        """All of them."""
        return list(self.layers)


def joined(text: States, image: States) -> tuple[Tensor, Tensor]:
    """Words and regions in one sequence `[B, L + 1 + R, D]` with mask."""
    return torch.cat([text.tokens, image.tokens], dim=1), torch.cat([text.mask, image.mask], dim=1)
