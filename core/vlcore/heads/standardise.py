"""Standardisation of features in front of a head: one scale for every column, kept with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.heads.base import Head

CONSTANT = 1e-6
"""A column whose deviation is below this part of the median one (or of its mean) is rounding noise, not data."""


def safe_scale(mean: Tensor, deviation: Tensor) -> Tensor:
    """Divisors that leave constant columns harmless.

    Dividing a dead feature by its rounding noise would let the first unseen value dominate every embedding, so a
    column that is constant up to rounding is divided by the median deviation of the others.

    Args:
        mean: `[W]` column means.
        deviation: `[W]` standard deviations of the columns.

    Returns:
        `[W]` divisors, all positive.
    """
    varying = deviation[deviation > 0]
    typical = varying.median() if len(varying) else torch.ones_like(deviation).mean()
    constant = deviation <= CONSTANT * torch.maximum(mean.abs(), typical)
    return torch.where(constant, typical, deviation)


class Standardise(nn.Module):
    """Subtracts the mean of every column and divides by its scale; changes nothing until both are set.

    Args:
        features: number of columns W.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Set what is subtracted and what is divided by; constant columns get a typical divisor (`safe_scale`).

        Args:
            mean: `[W]` column means of the training features.
            scale: `[W]` standard deviations of the training features.

        Raises:
            ValueError: if a shape is wrong, a value is not finite, or a scale is negative.
        """
        for name, values in (("mean", mean), ("scale", scale)):
            if values.shape != self.mean.shape:
                raise ValueError(f"{name} has shape {tuple(values.shape)}, expected {tuple(self.mean.shape)}.")
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} has NaN or infinite values: look for them in the features.")
        if (scale < 0).any():
            raise ValueError("scale has negative values: pass standard deviations.")
        self.mean.copy_(mean)
        self.scale.copy_(safe_scale(mean, scale))

    def forward(self, features: Tensor) -> Tensor:
        """Standardise `[B, W]`."""
        return (features - self.mean) / self.scale


class StandardisedHead(Head):
    """A head that sees standardised features.

    Towers differ by orders of magnitude in the scale of their features; standardised, one initialisation and one
    learning rate fit them all.

    Args:
        in_features: W.
        out_features: D.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.standardise = Standardise(in_features)

    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Set the mean and standard deviation `[W]` of the training features."""
        self.standardise.set_statistics(mean, scale)
