"""Towers with the head of a task: a model directory for what is neither search nor fusion."""

from __future__ import annotations

from typing import Any

from torch import nn

from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.heads.task import TaskHead


class HeadedTowers(nn.Module):
    """One or two towers and a head that reads their features; who made the head knows how to call it.

    Args:
        image_encoder: image tower, or None where the task reads no images.
        text_encoder: text tower, or None where it reads no texts.
        head: of the task.

    Raises:
        ConfigurationError: if there is no tower at all.
    """

    def __init__(self, image_encoder: ImageEncoder | None, text_encoder: TextEncoder | None, head: TaskHead) -> None:
        super().__init__()
        if image_encoder is None and text_encoder is None:
            raise ConfigurationError("A head of a task reads features: give an image tower, a text tower, or both.")
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.head = head

    def config(self) -> dict[str, Any]:
        """Constructor arguments besides the parts, plain values: none."""
        return {}
