"""Guesses the pixels of hidden patches from the states of those that were seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore_medical.m3ae.pre_norm_block import PreNormBlock
from vlcore_medical.m3ae.shape import M3AEShape


class PixelDecoder(nn.Module):
    """A small transformer over seen patches and a learned token for every hidden one (MAE, arXiv 2111.06377).

    Args:
        shape: sizes.
    """

    position: Tensor

    def __init__(self, shape: M3AEShape) -> None:
        super().__init__()
        width = shape.decoder_width
        self.patches = shape.patches
        self.embedding = nn.Linear(shape.width, width)
        self.masked = nn.Parameter(torch.randn(width) * 0.02)
        self.register_buffer("position", sine_positions(shape.grid, width))
        self.layers = nn.ModuleList(
            PreNormBlock(width, shape.decoder_heads, 4 * width) for _ in range(shape.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.pixels = nn.Linear(width, 3 * shape.patch**2)

    def forward(self, states: Tensor, kept: Tensor) -> Tensor:
        """Pixels `[B, R, 3 P^2]` of all patches.

        Args:
            states: `[B, 1 + K, D]` of the whole image and of the patches that were seen.
            kept: `[B, K]` their numbers, 0 to R - 1.
        """
        seen = self.embedding(states)
        places = kept[..., None].expand(-1, -1, seen.shape[-1])
        hidden = self.masked.to(seen.dtype).expand(len(seen), self.patches, -1)
        patches = hidden.scatter(1, places, seen[:, 1:])
        decoded = torch.cat([seen[:, :1], patches], dim=1) + self.position.to(seen.dtype)
        for layer in self.layers:
            decoded = layer(decoded)
        pixels: Tensor = self.pixels(self.norm(decoded))[:, 1:]
        return pixels


def sine_positions(grid: int, width: int) -> Tensor:
    """Fixed positions `[1 + grid^2, width]` of patches, row by row: sines and cosines of column, then of row (MAE).

    The first row, of the whole image, is zero.
    """
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * frequency
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)  # [grid, width / 2]
    column = wave.repeat(grid, 1)
    row = wave.repeat_interleave(grid, dim=0)
    return torch.cat([torch.zeros(1, width), torch.cat([column, row], dim=1).float()])
