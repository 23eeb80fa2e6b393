"""A fusion encoder with its heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vlcore.heads.masked_language import MaskedLanguageHead
from vlcore.heads.masked_region import MaskedRegionClasses, MaskedRegionFeatures
from vlcore.models.fusion.cross_stream import CrossStream
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.single_stream import SingleStream
from vlcore.models.fusion.split_stream import SplitStream
from vlcore.models.fusion.stream import FusionStream, States

Architecture = Literal["single_stream", "split_stream", "cross_stream"]
"""UNITER's, InterBERT's, ALBEF's."""

STREAMS: dict[Architecture, type[FusionStream]] = {
    "single_stream": SingleStream,
    "split_stream": SplitStream,
    "cross_stream": CrossStream,
}

ALBEF_LOGIT_SCALE = 1 / 0.07
SMALLEST_LOGIT_SCALE, LARGEST_LOGIT_SCALE = 2.0, 1000.0
"""ALBEF holds the temperature within 0.001 .. 0.5."""


class FusionNetwork(nn.Module):
    """Everything of a fusion model that learns besides the image tower.

    Args:
        architecture: how layers are put together.
        in_features: W of the visual tokens.
        shape: sizes.
        embedding_size: of the space that texts and images alone are projected to; None where they are not aligned.
        region_classes: K of the masked regions' classes; None where they are not guessed.

    Attributes:
        matching: from a pair's vector to the logits of no and yes.
        masked_language: guesses words.
        region_features: guesses features of regions.
        region_classes: guesses classes of regions, or None.
        logit_scale: `[1]` parameter, the LOGARITHM of the scale.
    """

    def __init__(
        self,
        architecture: Architecture,
        in_features: int,
        shape: FusionShape,
        embedding_size: int | None = None,
        region_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.architecture: Architecture = architecture
        self.embedding_size = embedding_size
        self.stream = STREAMS[architecture](in_features, shape)
        width = shape.width
        self.matching = nn.Linear(width, 2)
        self.masked_language = MaskedLanguageHead(width, shape.vocabulary, shape.norm_epsilon)
        self.region_features = MaskedRegionFeatures(width, in_features)
        self.region_classes = None if region_classes is None else MaskedRegionClasses(width, region_classes)
        self.text_projection = None if embedding_size is None else nn.Linear(width, embedding_size)
        self.image_projection = None if embedding_size is None else nn.Linear(width, embedding_size)
        self.logit_scale = nn.Parameter(torch.tensor([ALBEF_LOGIT_SCALE]).log())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FusionNetwork:
        """Build it with untrained weights from what `config()` returned."""
        return cls(**{**config, "shape": FusionShape(**config["shape"])})

    def embed_text(self, text: States) -> Tensor:
        """Unit vectors `[B, E]` of texts alone: of their first token's state."""
        return _unit(self.text_projection, text.tokens[:, 0])

    def embed_image(self, image: States) -> Tensor:
        """Unit vectors `[B, E]` of images alone: of the whole image's state."""
        return _unit(self.image_projection, image.tokens[:, 0])

    def match(self, text: States, image: States) -> Tensor:
        """Logits `[B, 2]` of no and yes."""
        logits: Tensor = self.matching(self.stream.fuse(text, image).pair)
        return logits

    def guess_words(self, states: Tensor) -> Tensor:
        """Logits `[N, V]` of words' states `[N, D]`."""
        logits: Tensor = self.masked_language(states, self.stream.text_embedding.word.weight)
        return logits

    def guess_regions(self, states: Tensor) -> Tensor:
        """Features `[N, W]` of regions' states `[N, D]`."""
        features: Tensor = self.region_features(states, self.stream.visual_embedding.feature.weight)
        return features

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Hold the scale within ALBEF's bounds; call after each optimiser step."""
        low, high = torch.tensor([SMALLEST_LOGIT_SCALE, LARGEST_LOGIT_SCALE]).log().tolist()
        self.logit_scale.clamp_(low, high)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, plain values; `shape` as a mapping."""
        return {
            "architecture": self.architecture,
            "in_features": self.stream.in_features,
            "shape": self.stream.shape.to_dict(),
            "embedding_size": self.embedding_size,
            "region_classes": None if self.region_classes is None else self.region_classes.classes.out_features,
        }


def _unit(projection: nn.Module | None, states: Tensor) -> Tensor:
    assert projection is not None, "built without embedding_size"
    return nn.functional.normalize(projection(states).float(), dim=-1)
