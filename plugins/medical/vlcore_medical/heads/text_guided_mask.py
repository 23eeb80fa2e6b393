"""A small encoder-decoder that draws the mask of what a text names."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.film import FiLM

_CHANNELS = (16, 32, 64)
"""Of the levels, from the full resolution down; each halves height and width."""


class TextGuidedMask(nn.Module):
    """A U-Net (arXiv 1505.04597) whose every level is scaled and shifted by the text.

    A text that is the same for all images makes it an image-only model: the floor to compare with.

    Args:
        text_width: Wt.
        image_channels: C.
    """

    def __init__(self, text_width: int, image_channels: int = 1) -> None:
        super().__init__()
        levels = pairwise((image_channels, *_CHANNELS))
        self.down = nn.ModuleList(_Block(above, here, text_width) for above, here in levels)
        self.up = nn.ModuleList(_Block(below + here, here, text_width) for here, below in pairwise(_CHANNELS))
        self.score = nn.Conv2d(_CHANNELS[0], 1, kernel_size=1)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        """Logits `[B, H, W]` of images `[B, C, H, W]` float and text features `[B, Wt]`.

        Raises:
            ConfigurationError: if height or width cannot be halved as often as there are levels.
        """
        factor = 2 ** (len(self.down) - 1)
        if images.shape[2] % factor or images.shape[3] % factor:
            raise ConfigurationError(
                f"Images of {images.shape[2]} x {images.shape[3]} pixels: height and width must be multiples of "
                f"{factor}. Pad or resize them."
            )
        state, skipped = images, []
        for level, block in enumerate(self.down):
            state = block(nn.functional.max_pool2d(state, 2) if level else state, text)
            skipped.append(state)
        for block, skip in zip(reversed(self.up), reversed(skipped[:-1]), strict=True):
            state = block(torch.cat([nn.functional.interpolate(state, scale_factor=2.0), skip], dim=1), text)
        logits: Tensor = self.score(state).squeeze(1)
        return logits


class _Block(nn.Module):
    """Two convolutions with the text between them."""

    def __init__(self, width: int, channels: int, text_width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, channels, kernel_size=3, padding=1)
        self.second = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.first_norm, self.second_norm = nn.GroupNorm(4, channels), nn.GroupNorm(4, channels)
        self.film = FiLM(text_width, channels)

    def forward(self, state: Tensor, text: Tensor) -> Tensor:
        state = self.first_norm(self.first(state))
        state = nn.functional.gelu(self.film(state.movedim(1, -1), text).movedim(-1, 1))
        output: Tensor = nn.functional.gelu(self.second_norm(self.second(state)))
        return output
