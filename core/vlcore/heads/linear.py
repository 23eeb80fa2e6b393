"""A linear projection: the cheapest learned head, and the form of the closed-form alignment."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vlcore.heads.standardise import StandardisedHead


class LinearHead(StandardisedHead):
    """Standardised features times a matrix.

    Args:
        in_features: W.
        out_features: D.
        bias: add a learned offset.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features)
        self.projection = nn.Linear(in_features, out_features, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, W]` to `[B, D]`."""
        projected: Tensor = self.projection(self.standardise(features))
        return projected

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.projection.bias is not None,
        }
