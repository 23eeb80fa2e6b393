"""What every head of a task is, such as one that answers questions or writes reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import nn


class TaskHead(nn.Module, ABC):
    """Reads the features of frozen towers; what it gives is its task's own affair."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TaskHead:
        """Build the head with untrained weights from what `config()` returned."""
        return cls(**config)

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Plain values that rebuild this head without weights: the argument of `from_config`."""
