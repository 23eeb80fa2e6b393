"""Pixels of hidden patches are to be guessed."""

from __future__ import annotations

import torch
from torch import Tensor

VARIANCE_EPSILON = 1e-6


def patch_targets(pixels: Tensor, patch: int, normalise: bool = True) -> Tensor:
    """Pixels of patches, as what is to be guessed (M3AE, arXiv 2209.07098, section 3.2; MAE, arXiv 2111.06377).

    Args:
        pixels: `[B, 3, S, S]`, normalised as the image tower reads them.
        patch: P, pixels of a patch's side.
        normalise: bring each patch to mean 0 and variance 1 by its own mean and unbiased variance.

    Returns:
        `[B, R, 3 P^2]` float: patches row by row; in each, row by row, the three channels of a pixel side by side.
    """
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    grid = pixels.float().view(batch, channels, rows, patch, columns, patch)
    targets = torch.einsum("bcrpsq->brspqc", grid).reshape(batch, rows * columns, channels * patch**2)
    if not normalise:
        return targets
    variance, mean = torch.var_mean(targets, dim=-1, keepdim=True)
    return (targets - mean) / (variance + VARIANCE_EPSILON).sqrt()


def masked_image_loss(predicted: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
    """Mean squared error of the hidden patches' pixels.

    Args:
        predicted: `[B, R, 3 P^2]`.
        targets: likewise, from `patch_targets`.
        hidden: `[B, R]` bool, at least one of them True.
    """
    return torch.nn.functional.mse_loss(predicted[hidden].float(), targets[hidden])
