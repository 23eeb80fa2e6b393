"""Whitened principal components of frozen features: what a few hundred images can still tell apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.heads.standardise import Standardise


class PrincipalComponents(nn.Module):
    """Standardises features and keeps their first components, each of variance 1; nothing of it is learned by descent.

    Args:
        features: W, columns of the features.
        components: K of them that are kept.

    Raises:
        ConfigurationError: if K is not from 1 to W.
    """

    basis: Tensor

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        if not 1 <= components <= features:
            raise ConfigurationError(f"components={components}: choose 1 to {features}, the width of the features.")
        self.standardise = Standardise(features)
        self.register_buffer("basis", torch.zeros(features, components))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take statistics and directions from training features `[N, W]`.

        Raises:
            ConfigurationError: if there are too few rows for K components.
        """
        kept = self.basis.shape[1]
        if len(features) <= kept:
            raise ConfigurationError(
                f"{len(features)} rows of features cannot give {kept} principal components; choose fewer components "
                f"or add images."
            )
        self.standardise.set_statistics(features.mean(dim=0), features.std(dim=0))
        _, values, directions = torch.linalg.svd(self.standardise(features).double(), full_matrices=False)
        # The sign of a direction is free: its largest entry is made positive, so that every run has the same.
        largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
        directions = directions[:kept] * largest[:kept].sign()
        deviation = values[:kept] / (len(features) - 1) ** 0.5
        self.basis.copy_((directions / deviation.clamp_min(1e-12)[:, None]).T)

    def forward(self, features: Tensor) -> Tensor:
        """Components `[B, K]` of features `[B, W]`."""
        components: Tensor = self.standardise(features) @ self.basis
        return components
