"""An image tower and a fusion network: whether an image and a text belong together, and what is hidden in them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.errors import ConfigurationError
from vlcore.models.fusion.network import FusionNetwork
from vlcore.models.fusion.stream import States
from vlcore.types import PairBatch, VisualTokens


class FusionTexts(nn.Module):
    """What a data module asks of the text side: a tokeniser, and that texts have to be read anew in every epoch.

    Args:
        tokenizer: of the text tower that the network grew from.

    Attributes:
        source: of that tower, for the model card.
        licence: likewise.
    """

    frozen = False

    def __init__(self, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.source = ""
        self.licence = "unknown"


class FusionModel(nn.Module):
    """Reads images and texts together.

    Args:
        image_encoder: gives patches or cells; None where images come as precomputed regions.
        tokenizer: of the texts.
        network: reads the two.
    """

    def __init__(self, image_encoder: TokenEncoder | None, tokenizer: TextTokenizer, network: FusionNetwork) -> None:
        super().__init__()
        if image_encoder is not None and image_encoder.token_width != network.stream.in_features:
            raise ConfigurationError(
                f"{image_encoder.source} gives tokens of {image_encoder.token_width} numbers and the fusion network "
                f"reads {network.stream.in_features}: build it with in_features={image_encoder.token_width}."
            )
        self.image_encoder = image_encoder
        self.text_encoder = FusionTexts(tokenizer)
        self.network = network

    @property
    def tokenizer(self) -> TextTokenizer:
        """Of the texts."""
        return self.text_encoder.tokenizer

    @property
    def region_width(self) -> int:
        """W of the regions that are read where there is no image tower."""
        return self.network.stream.in_features

    def visual_tokens(self, batch: PairBatch) -> VisualTokens:
        """Patches, cells or regions of a batch, from its images, their cached tokens, or its regions.

        Raises:
            ConfigurationError: if the batch has none of these, or regions of another width.
        """
        if self.image_encoder is None:
            if batch.regions is None:
                raise ConfigurationError(
                    "The model reads precomputed regions and the batch has none: name their files in the manifest "
                    "(meta: regions)."
                )
            wanted, found = self.network.stream.in_features, batch.regions.features.shape[-1]
            if found != wanted:
                raise ConfigurationError(f"The regions have {found} numbers each; the model reads {wanted}.")
            return batch.regions
        if batch.image_features is not None:
            return self.image_encoder.unflatten(batch.image_features)
        if batch.images is None:
            raise ConfigurationError("The batch has neither images nor image_features: one of them is needed.")
        return self.encode_images(batch.images)

    def encode_images(self, images: Tensor) -> VisualTokens:
        """Tokens of images `[B, 3, H, W]` uint8; a frozen tower builds no graph."""
        assert self.image_encoder is not None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.image_encoder.frozen):
            return self.image_encoder.unflatten(self.image_encoder(images).pooled)

    def forward(self, batch: PairBatch) -> Tensor:
        """Logits `[B, 2]` of no and yes for the pairs of a batch."""
        assert batch.input_ids is not None and batch.attention_mask is not None
        text = self.network.stream.read_text(batch.input_ids, batch.attention_mask)
        return self.network.match(text, self.read_images(batch))

    def read_images(self, batch: PairBatch) -> States:
        """Images of a batch alone."""
        return self.network.stream.read_image(self.visual_tokens(batch))

    def config(self) -> dict[str, Any]:
        """Constructor arguments besides the parts, plain values: none."""
        return {}

    def clamp_temperature(self) -> None:
        """Hold the temperature within its bounds; call after each optimiser step."""
        self.network.clamp_temperature()
