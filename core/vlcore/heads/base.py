"""What every projection head is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Head(nn.Module, ABC):
    """Maps pooled tower features `[B, W]` to embeddings `[B, D]`, not yet normalised.

    Attributes:
        in_features: W.
        out_features: D.
    """

    in_features: int
    out_features: int

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Head:
        """Build the head with untrained weights from what `config()` returned; heads with parts inside override it."""
        return cls(**config)

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, W]` to `[B, D]`."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Plain values that rebuild this head without weights: the argument of `from_config`."""
