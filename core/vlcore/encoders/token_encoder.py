"""A tower's tokens in one row, so that those of a frozen tower are cached as pooled features are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vlcore.encoders.base import ImageEncoder
from vlcore.encoders.wrapped_tower import WrappedTower
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable, VisualTokens

_MOST_PREFIX_TOKENS = 5
"""One class token and four registers, as DINOv2 has them (arXiv 2309.16588)."""


class TokenEncoder(WrappedTower[ImageEncoder], ImageEncoder):
    """Patches of a vision transformer, or cells of a feature map, of any image tower that has them.

    What the tower pools is its R tokens one after the other, `[B, R * W]`; `unflatten` turns them back. Class and
    register tokens have no place in the image and are left out.

    Args:
        tower: whose tokens they are.

    Attributes:
        token_width: W.
        tokens: R.

    Raises:
        ConfigurationError: if the tower has no tokens.
    """

    def __init__(self, tower: ImageEncoder) -> None:
        super().__init__()
        self._wrap(tower)
        self.preprocess = tower.preprocess
        with torch.no_grad():
            parameter = next(tower.parameters())
            blank = torch.zeros(1, 3, *tower.preprocess.size, dtype=torch.uint8, device=parameter.device)
            mode = tower.training
            tokens = tower.eval()(blank).tokens
            tower.train(mode)
        if tokens is None:
            raise ConfigurationError(
                f"{tower.source} gives one vector per image and no tokens; choose a tower with patches or feature "
                f"maps, such as starter/efficientnet_lite0 or a vision transformer."
            )
        self._prefix = _prefix_tokens(tokens.shape[1])
        self.tokens = int(tokens.shape[1]) - self._prefix
        self.token_width = int(tokens.shape[2])
        self.width = self.tokens * self.token_width

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> TokenEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        from vlcore.encoders import encoder_class

        tower_class = encoder_class(config["class_path"])
        return cls(tower_class.from_config(config["arguments"], preprocess))  # type: ignore[attr-defined]

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        tokens = self.tower.encode(pixels).tokens
        assert tokens is not None
        tokens = tokens[:, self._prefix :]
        return EncoderOutput(tokens, tokens.flatten(1))

    def unflatten(self, pooled: Tensor) -> VisualTokens:
        """Pooled features `[B, R * W]` as tokens with their places."""
        features = pooled.view(len(pooled), self.tokens, self.token_width)
        mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        boxes = grid_boxes(self.tokens, features.device)
        return VisualTokens(features, mask, None if boxes is None else boxes.expand(len(features), -1, -1))


def build_image(argument: str, trainable: Trainable = "none") -> TokenEncoder:
    """Build the tokens of a pretrained tower; `argument` is the tower's own name, such as `starter/efficientnet_lite0`.

    Raises:
        ConfigurationError: if the tower has no tokens; otherwise as `build_image_encoder`.
    """
    from vlcore.encoders import build_image_encoder

    encoder = TokenEncoder(build_image_encoder(argument))
    encoder.set_trainable(trainable)
    return encoder.eval()


def grid_boxes(tokens: int, device: torch.device | None = None) -> Tensor | None:
    """Boxes `[R, 4]` of the cells of a square grid, row by row, in 0..1; None if R is no square."""
    side = math.isqrt(tokens)
    if side * side != tokens:
        return None
    edges = torch.arange(side, device=device) / side
    top, left = torch.meshgrid(edges, edges, indexing="ij")
    return torch.stack([left, top, left + 1 / side, top + 1 / side], dim=-1).reshape(tokens, 4)


def _prefix_tokens(tokens: int) -> int:
    """Tokens before those of a square grid; 0 where no grid comes out."""
    prefix = tokens - math.isqrt(tokens) ** 2
    return prefix if prefix <= _MOST_PREFIX_TOKENS else 0
