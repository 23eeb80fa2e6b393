"""Image towers on images of another size than they were trained with."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from vlcore.encoders.base import ImageEncoder
from vlcore.errors import ConfigurationError


def pooled_features(encoder: ImageEncoder, images: Tensor) -> Tensor:
    """Pooled features `[B, W]` of images `[B, 3, h, w]` uint8 in any size that the tower can take.

    Convolutional towers take any. Vision transformers of open_clip and of transformers' CLIP and SigLIP get their
    position embeddings interpolated, bicubic, as DINO does for its small views (arXiv 2104.14294). Gradients reach the
    tower's own positions.

    Raises:
        ConfigurationError: if the tower cannot; see `check_size`.
    """
    size = (int(images.shape[-2]), int(images.shape[-1]))
    if size == encoder.preprocess.size:
        pooled: Tensor = encoder(images).pooled
        return pooled
    network: Any = encoder.network if hasattr(encoder, "network") else encoder
    if hasattr(network, "get_image_features"):
        found = network.get_image_features(pixel_values=encoder.normalise(images), interpolate_pos_encoding=True)
        # Releases of transformers before 5 return the projected feature alone.
        return found if isinstance(found, Tensor) else found.pooler_output
    # A shallow copy shares every weight; only the size that it asks for is its own.
    resized = copy.copy(encoder)
    resized.preprocess = replace(encoder.preprocess, size=size)
    changed: dict[str, Tensor] = {}
    if isinstance(getattr(network, "positional_embedding", None), Tensor) and hasattr(network, "patch_size"):
        patch = network.patch_size if isinstance(network.patch_size, tuple) else (network.patch_size,) * 2
        grid = (size[0] // patch[0], size[1] // patch[1])
        positions = resized_positions(network.positional_embedding, network.grid_size, grid)
        changed["network.positional_embedding"] = positions
    output: Any = functional_call(resized, changed, (images,))
    result: Tensor = output.pooled
    return result


def check_size(encoder: ImageEncoder, size: tuple[int, int]) -> None:
    """Try one black image of a size.

    Args:
        encoder: in any mode.
        size: height and width, pixels.

    Raises:
        ConfigurationError: if the tower cannot take it.
    """
    device = next(encoder.parameters()).device
    training = encoder.training
    try:
        with torch.no_grad():
            pooled_features(encoder.eval(), torch.zeros(1, 3, *size, dtype=torch.uint8, device=device))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        raise ConfigurationError(
            f"{encoder.source} cannot take views of {size[0]} x {size[1]} pixels beside images of "
            f"{encoder.preprocess.size[0]} x {encoder.preprocess.size[1]} ({error}). Set local_size to the tower's own "
            f"size, local_views=0, or choose a CLIP of open_clip or transformers, or a convolutional tower."
        ) from error
    finally:
        encoder.train(training)


def resized_positions(positions: Tensor, grid: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Interpolate position embeddings of a grid of patches.

    Args:
        positions: `[P + R * C, W]`, P of tokens before the patches (the class token).
        grid: R rows and C columns.
        new: rows and columns wanted.

    Returns:
        `[P + new rows * new columns, W]`.
    """
    before = len(positions) - grid[0] * grid[1]
    patches = positions[before:].view(1, *grid, -1).permute(0, 3, 1, 2)  # [1, W, R, C]
    resized = F.interpolate(patches.float(), size=new, mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([positions[:before], resized[0].flatten(1).T.to(positions.dtype)])
