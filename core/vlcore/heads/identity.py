"""The head of a ready dual encoder: its towers already project into one space."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vlcore.heads.base import Head


class IdentityHead(Head):
    """Returns its input.

    Args:
        features: width of both sides, W = D.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.in_features = features
        self.out_features = features

    def forward(self, features: Tensor) -> Tensor:
        """Return `[B, W]` as it is."""
        return features

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"features": self.in_features}
