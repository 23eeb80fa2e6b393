"""CLIP's vision transformer, which can read a part of an image's patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vlcore.encoders.base import ImageEncoder
from vlcore.types import EncoderOutput, ImagePreprocess, VisualTokens
from vlcore_medical.m3ae.pre_norm_block import PreNormBlock
from vlcore_medical.m3ae.shape import M3AEShape

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class ClipImageEncoder(ImageEncoder):
    """Patches, learned positions and pre-norm layers (CLIP, arXiv 2103.00020), without the projection.

    Args:
        image_size: pixels of a side.
        patch: pixels of a patch's side.
        width: D.
        heads: that D is divided among.
        intermediate: hidden width of feed-forward layers.
        layers: number of them.

    Attributes:
        tokens: 1 + R, the first is of the whole image.
        token_width: D.
        width: (1 + R) * D: what is pooled are all tokens in one row, so that those of a frozen tower can be cached.
    """

    def __init__(self, image_size: int, patch: int, width: int, heads: int, intermediate: int, layers: int) -> None:
        super().__init__()
        self._sizes = {
            **{"image_size": image_size, "patch": patch, "width": width},
            **{"heads": heads, "intermediate": intermediate, "layers": layers},
        }
        self.preprocess = ImagePreprocess(
            (image_size, image_size), resize="shortest", resize_to=image_size, mean=CLIP_MEAN, std=CLIP_STD
        )
        self.tokens = 1 + (image_size // patch) ** 2
        self.token_width = width
        self.width = self.tokens * width
        self.source = f"medical/m3ae ViT, {layers} layers of {width}"
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.whole = nn.Parameter(torch.randn(width) * width**-0.5)
        self.position = nn.Parameter(torch.randn(self.tokens, width) * width**-0.5)
        self.input_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(PreNormBlock(width, heads, intermediate) for _ in range(layers))
        self.output_norm = nn.LayerNorm(width)

    @classmethod
    def of(cls, shape: M3AEShape) -> ClipImageEncoder:
        """The image tower of an M3AE of that shape."""
        sizes = (shape.image_size, shape.patch, shape.width, shape.heads, shape.intermediate, shape.image_layers)
        return cls(*sizes)

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> ClipImageEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        encoder = cls(**config)
        encoder.preprocess = preprocess
        return encoder

    def config(self) -> dict[str, Any]:
        """Sizes."""
        return dict(self._sizes)

    def blocks(self) -> Sequence[nn.Module]:
        """Layers."""
        return list(self.layers)

    def after_blocks(self) -> Sequence[nn.Module]:
        """The last norm."""
        return [self.output_norm]

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, S, S]`: tokens `[B, 1 + R, D]`."""
        tokens = self.read(pixels)
        return EncoderOutput(tokens, tokens.flatten(1))

    def read(self, pixels: Tensor, kept: Tensor | None = None) -> Tensor:
        """Read all patches of images, or some.

        Args:
            pixels: `[B, 3, S, S]` normalised.
            kept: `[B, K]` numbers of the patches that are read, 0 to R - 1; the others leave no trace.

        Returns:
            `[B, 1 + R, D]` or `[B, 1 + K, D]`, the first is of the whole image.
        """
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2) + self.position[1:]  # [B, R, D]
        if kept is not None:
            patches = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[-1]))
        whole = (self.whole + self.position[0]).to(patches.dtype).expand(len(patches), 1, -1)
        states = self.input_norm(torch.cat([whole, patches], dim=1))
        for layer in self.layers:
            states = layer(states)
        output: Tensor = self.output_norm(states)
        return output

    def unflatten(self, pooled: Tensor) -> VisualTokens:
        """Pooled features `[B, (1 + R) * D]` as tokens."""
        return all_visible(pooled.view(len(pooled), self.tokens, self.token_width))


def all_visible(tokens: Tensor) -> VisualTokens:
    """Tokens `[B, L, D]` that are all real; their places are in them."""
    return VisualTokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device))
