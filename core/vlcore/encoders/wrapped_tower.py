"""What towers share that give another tower's tokens in place of what it pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from torch import nn

from vlcore.encoders.base import Encoder
from vlcore.types import Trainable

T = TypeVar("T", bound=Encoder)


class WrappedTower(Encoder, Generic[T]):
    """Learns, freezes and describes itself as the tower inside.

    Attributes:
        tower: inside.
    """

    tower: T

    def _wrap(self, tower: T) -> None:
        """Take a tower in, with its origin."""
        self.tower = tower
        self.source = tower.source
        self.licence = tower.licence
        self.trainable = tower.trainable

    def blocks(self) -> Sequence[nn.Module]:
        """Of the tower."""
        return self.tower.blocks()

    def after_blocks(self) -> Sequence[nn.Module]:
        """Of the tower."""
        return self.tower.after_blocks()

    def set_trainable(self, trainable: Trainable) -> None:
        """As `Encoder.set_trainable`, of the tower."""
        self.tower.set_trainable(trainable)
        super().set_trainable(trainable)

    def config(self) -> dict[str, Any]:
        """The tower's class and arguments."""
        kind = type(self.tower)
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "arguments": self.tower.config()}
