"""The projection that student and teacher compare their views in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfDistillationHead(nn.Module):
    """DINO's projection head (arXiv 2104.14294, appendix C): three layers, unit norm, directions of unit length.

    The last layer is weight-normalised with all lengths fixed at 1, so its outputs are cosines with K directions.

    Args:
        in_features: W of the image tower.
        outputs: K; 65,536 for millions of images, 8,192 or fewer for tens of thousands.
        hidden_features: width of the two hidden layers.
        bottleneck: width before the last layer.
    """

    def __init__(
        self, in_features: int, outputs: int = 65_536, hidden_features: int = 2048, bottleneck: int = 256
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, hidden_features),
            nn.GELU(),
            nn.Linear(hidden_features, hidden_features),
            nn.GELU(),
            nn.Linear(hidden_features, bottleneck),
        )
        self.directions = nn.Parameter(torch.empty(outputs, bottleneck))
        for module in self.layers:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.directions)

    def forward(self, features: Tensor) -> Tensor:
        """Project pooled features `[…, W]` to `[…, K]`, each between -1 and 1."""
        return F.linear(F.normalize(self.layers(features), dim=-1), F.normalize(self.directions, dim=-1))

    def hold_last_layer(self) -> None:
        """Leave the last layer as it is in the step to come; call between the backward pass and the step.

        Without this in the first epoch, the last layer follows what the untrained layers below it happen to say.
        """
        self.directions.grad = None
