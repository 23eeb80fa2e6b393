"""Learned positions of an image for another number of patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def resize_positions(table: Tensor, patches: int) -> Tensor:
    """Positions `[1 + R, D]` of a square grid for another one, `[1 + patches, D]`; the first row stays.

    Bicubic, as the released code does where it is fine-tuned at 384 pixels.
    """
    if len(table) == 1 + patches:
        return table
    old, new = math.isqrt(len(table) - 1), math.isqrt(patches)
    grid = table[1:].float().T.reshape(1, -1, old, old)
    resized = torch.nn.functional.interpolate(grid, (new, new), mode="bicubic", align_corners=False)
    return torch.cat([table[:1], resized.reshape(-1, patches).T.to(table.dtype)])
