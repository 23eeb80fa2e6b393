"""What the inner blocks of an image tower see, beside what the tower itself says."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlcore.encoders.base import ImageEncoder
from vlcore.encoders.wrapped_tower import WrappedTower
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess
from vlcore_remote_sensing.semantic_experts.concept import LEVELS

GRID = 2
"""Cells per side that a level's map is averaged to: enough to tell corners apart, few enough to be cached."""

_MOST_PREFIX_TOKENS = 5  # one class token and four registers, arXiv 2309.16588


class Layout(NamedTuple):
    """How a row of a `LevelEncoder` is made up.

    Attributes:
        pooled: width of the tower's own pooled feature, which comes first.
        levels: width of each level's tokens, from fine to coarse.
        tokens: per level.
    """

    pooled: int
    levels: tuple[int, ...]
    tokens: int

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self.pooled + self.tokens * sum(self.levels)

    def split(self, row: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Rows `[B, width]` as the pooled feature `[B, pooled]` and one `[B, tokens, W]` per level."""
        sizes = [self.pooled, *(self.tokens * width for width in self.levels)]
        pooled, *levels = torch.split(row, sizes, dim=1)
        return pooled, [part.reshape(len(row), self.tokens, -1) for part in levels]


class LevelEncoder(WrappedTower[ImageEncoder], ImageEncoder):
    """An image tower that also gives the outputs of three of its blocks, from fine to coarse.

    All are one row, so that those of a frozen tower are cached as pooled features are: first the tower's own pooled
    feature, unchanged to the last bit, then the tokens of each level, averaged over a grid of `GRID` by `GRID` cells.
    Class and register tokens have no place in the image and are left out.

    Args:
        tower: convolutional with stages, or a vision transformer.
        taps: three blocks, counted from 1, in the order of `LEVELS`, such as 4, 8 and 12 of a ViT-B.

    Raises:
        ConfigurationError: if there are no such blocks, or one gives neither a map nor patches.
    """

    def __init__(self, tower: ImageEncoder, taps: tuple[int, int, int]) -> None:
        super().__init__()
        self._wrap(tower)
        self.preprocess = tower.preprocess
        blocks = len(tower.blocks())
        if len(taps) != len(LEVELS) or list(taps) != sorted(set(taps)) or not (taps[0] >= 1 and taps[-1] <= blocks):
            raise ConfigurationError(
                f"taps={tuple(taps)}: {tower.source} has {blocks} blocks; choose {len(LEVELS)} of them, counted from "
                f"1 and rising, for {', '.join(LEVELS)}."
            )
        self.taps = tuple(taps)
        with torch.no_grad():
            parameter = next(tower.parameters())
            blank = torch.zeros(1, 3, *tower.preprocess.size, dtype=torch.uint8, device=parameter.device)
            mode = tower.training
            pooled, levels = self._tapped(tower.eval().normalise(blank))
            tower.train(mode)
        self.layout = Layout(pooled.pooled.shape[1], tuple(level.shape[2] for level in levels), GRID**2)
        self.width = self.layout.width

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> LevelEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        from vlcore.encoders import encoder_class

        tower_class = encoder_class(config["class_path"])
        tower = tower_class.from_config(config["arguments"], preprocess)  # type: ignore[attr-defined]
        return cls(tower, config["taps"])

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float; tokens are the tower's own."""
        output, levels = self._tapped(pixels)
        row = torch.cat([output.pooled, *(level.flatten(1).to(output.pooled.dtype) for level in levels)], dim=1)
        return EncoderOutput(output.tokens, row)

    def config(self) -> dict[str, Any]:
        """The tower's class and arguments, and the blocks."""
        return {**super().config(), "taps": list(self.taps)}

    def _tapped(self, pixels: Tensor) -> tuple[EncoderOutput, list[Tensor]]:
        """The tower's output, and `[B, GRID * GRID, W]` of each tapped block."""
        blocks = self.tower.blocks()
        seen: dict[int, Any] = {}

        def keep(tap: int) -> Any:
            def hook(module: nn.Module, arguments: Any, output: Any) -> None:
                seen[tap] = output

            return hook

        # Hooks of one call: those that stay would make copies of the tower write into the original.
        handles = [blocks[tap - 1].register_forward_hook(keep(tap)) for tap in self.taps]
        try:
            output = self.tower.encode(pixels)
        finally:
            for handle in handles:
                handle.remove()
        return output, [self._cells(seen.get(tap), tap, len(pixels)) for tap in self.taps]

    def _cells(self, output: Any, tap: int, batch: int) -> Tensor:
        """A block's output, maps `[B, W, H, W']` or tokens `[B, L, W]`, as `[B, GRID * GRID, W]`."""
        states = output[0] if isinstance(output, tuple) else output
        maps = _as_maps(states, getattr(getattr(self.tower, "network", None), "output_fmt", "NCHW"))
        if maps is None or len(maps) != batch:
            found = list(states.shape) if isinstance(states, Tensor) else type(states).__name__
            raise ConfigurationError(
                f"Block {tap} of {self.source} gives {found} for {batch} images, neither maps nor patches in a square: "
                f"choose other taps or another tower."
            )
        return F.adaptive_avg_pool2d(maps, GRID).flatten(2).transpose(1, 2)


def _as_maps(states: Any, layout: str) -> Tensor | None:
    """States of a block as `[B, W, H, W']`; None where they have no places."""
    if not isinstance(states, Tensor):
        return None
    if states.ndim == 4:
        return states.permute(0, 3, 1, 2) if layout == "NHWC" else states
    side = math.isqrt(states.shape[1]) if states.ndim == 3 else 0
    if side < GRID or states.shape[1] - side**2 > _MOST_PREFIX_TOKENS:
        return None
    return states[:, -(side**2) :].transpose(1, 2).reshape(len(states), -1, side, side)
