"""Features of hidden regions are to be guessed."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_region_regression(predicted: Tensor, features: Tensor) -> Tensor:
    """Mean squared error of the hidden regions' features (UNITER's MRFR, arXiv 1909.11740, section 3.2).

    Args:
        predicted: `[N, W]` of the hidden regions.
        features: `[N, W]` what they are.

    Returns:
        Scalar; 0 with gradient 0 if nothing is hidden.
    """
    if not len(predicted):
        return predicted.sum() * 0.0
    return torch.nn.functional.mse_loss(predicted.float(), features.float())
