"""Classes for patches that no detector has named: the cluster they lie in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError


class PatchClusters(nn.Module):
    """Sorts patch features into K clusters, which stand in for a detector's classes.

    Features are brought to unit norm, so a cluster is a direction (spherical k-means). The clusters are fitted once, on
    training images, and are part of a task's state.

    Args:
        clusters: K.
        width: W.
        temperature: of the softmax over cosines that `probabilities` returns.
    """

    centres: Tensor
    fitted: Tensor

    def __init__(self, clusters: int, width: int, temperature: float = 0.05) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("centres", torch.zeros(clusters, width))
        self.register_buffer("fitted", torch.zeros(1, dtype=torch.bool))

    @torch.no_grad()
    def fit(self, features: Tensor, iterations: int = 20, seed: int = 0) -> None:
        """Find the clusters of features `[N, W]`.

        A cluster that loses all its features takes the feature that lies farthest from its own centre.

        Raises:
            ConfigurationError: if there are fewer features than clusters.
        """
        clusters = len(self.centres)
        if len(features) < clusters:
            raise ConfigurationError(
                f"{len(features):,} patches cannot make {clusters} clusters: choose fewer (model.patch_clusters)."
            )
        unit = nn.functional.normalize(features.to(self.centres), dim=1)
        generator = torch.Generator().manual_seed(seed)
        centres = unit[torch.randperm(len(unit), generator=generator)[:clusters].to(unit.device)]
        for _ in range(iterations):
            best, nearest = (unit @ centres.T).max(dim=1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, unit)
            empty = (torch.bincount(nearest, minlength=clusters) == 0).nonzero().flatten()
            sums[empty] = unit[best.argsort()[: len(empty)]]
            centres = nn.functional.normalize(sums, dim=1)
        self.centres.copy_(centres)
        self.fitted.fill_(True)

    def probabilities(self, features: Tensor) -> Tensor:
        """How well features `[…, W]` fit each cluster, `[…, K]`, adding up to 1."""
        unit = nn.functional.normalize(features.to(self.centres), dim=-1)
        return torch.softmax(unit @ self.centres.T / self.temperature, dim=-1)
