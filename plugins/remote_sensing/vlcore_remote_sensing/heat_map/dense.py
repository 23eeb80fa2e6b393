"""One vector per window, or one per cell of the image tower's feature map."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.retrieval.precision import half_precision, unit_rows
from vlcore_remote_sensing.rasters.pixels import Window

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model


def window_embedder(model: Model, dense: bool) -> Callable[[Tensor], NDArray[np.float32]]:
    """Make the function that turns windows `[B, 3, H, W]` uint8 into vectors `[B, T, D]` of unit norm.

    Without `dense`, T is 1. With it, each cell of the tower's feature map goes through the head that was made for
    their mean, as MaskCLIP does with the patches of a vision transformer (C. Zhou et al., arXiv 2112.01071): finer
    maps in one pass, true where the tower pools by averaging and rough where it pools by a class token.

    Raises:
        ConfigurationError: if the tower has no feature map.
    """
    if not dense:
        return lambda images: model.embed_pixels(images)[:, None]
    tokens = TokenEncoder(model.network.image_encoder)

    @torch.inference_mode()
    def embed(images: Tensor) -> NDArray[np.float32]:
        with half_precision(model.device):
            features = tokens.unflatten(tokens(images.to(model.device)).pooled).features
        vectors = unit_rows(model.network.project_images(features.float().flatten(0, 1)))
        return vectors.reshape(len(images), tokens.tokens, -1)

    return embed


def parts_of(window: Window, cells: int) -> list[Window]:
    """The parts of a window that a square feature map of so many cells stands for, row by row."""
    side = round(cells**0.5)
    rows = [window.row + window.height * step // side for step in range(side + 1)]
    columns = [window.column + window.width * step // side for step in range(side + 1)]
    return [
        Window(left, top, right - left, bottom - top)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
