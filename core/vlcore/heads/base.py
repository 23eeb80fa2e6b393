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

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, W]` to `[B, D]`."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Constructor arguments, plain values."""
