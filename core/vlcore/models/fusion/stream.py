"""What the three fusion encoders have in common: texts and images alone first, then any pairs of them together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.text_embedding import TextEmbedding
from vlcore.models.fusion.visual_embedding import VisualEmbedding
from vlcore.types import VisualTokens


class States(NamedTuple):
    """Texts or images as far as they can be read alone.

    Attributes:
        tokens: `[B, L, D]`; of an image the first is of the whole of it.
        mask: `[B, L]` bool, True on real tokens.
    """

    tokens: Tensor
    mask: Tensor

    def take(self, rows: Tensor) -> States:
        """The states of some rows `[M]`, in that order."""
        return States(self.tokens[rows], self.mask[rows])


class FusionOutput(NamedTuple):
    """What a fusion encoder makes of B pairs.

    Attributes:
        text: `[B, L, D]` states of the words.
        image: `[B, R, D]` states of the patches or regions, without that of the whole image.
        pair: `[B, D]` one vector for the two, from which a head tells whether they match.
    """

    text: Tensor
    image: Tensor
    pair: Tensor


class FusionStream(nn.Module, ABC):
    """Reads texts and images together.

    Args:
        in_features: W of the visual tokens.
        shape: sizes.
    """

    def __init__(self, in_features: int, shape: FusionShape) -> None:
        super().__init__()
        self.shape = shape
        self.in_features = in_features
        self.text_embedding = TextEmbedding(shape)
        self.visual_embedding = VisualEmbedding(in_features, shape)

    def read_text(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """Texts alone: ids `[B, L]` with mask `[B, L]`."""
        return States(self.text_embedding(input_ids), attention_mask.bool())

    def read_image(self, visual: VisualTokens, region_mask: Tensor | None = None) -> States:
        """Images alone; `region_mask` `[B, R]` hides tokens."""
        return States(*self.visual_embedding(visual, region_mask))

    @abstractmethod
    def fuse(self, text: States, image: States) -> FusionOutput:
        """B texts with B images."""

    @abstractmethod
    def text_layers(self) -> list[nn.Module]:
        """The layers that a pretrained text encoder's fill, in their order."""


def initialise(module: nn.Module) -> None:
    """Draw weights as BERT does: normal with a deviation of 0.02, biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
