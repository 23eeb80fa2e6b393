"""An image tower and what stands on it, as one module that a teacher can be a copy of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.encoders.base import ImageEncoder
from vlcore.models.momentum import MomentumModel


class ImageBranch(nn.Module):
    """Images to what a head makes of them.

    Args:
        encoder: image tower.
        head: on its pooled features.
    """

    def __init__(self, encoder: ImageEncoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` uint8 in the tower's size to `[B, K]`."""
        outputs: Tensor = self.head(self.encoder(images).pooled)
        return outputs


@torch.no_grad()
def follow(teacher: MomentumModel[ImageBranch], student: ImageBranch, momentum: float) -> None:
    """Let a teacher take a step after its student.

    Args:
        teacher: made of a copy of the student.
        student: that has just learned.
        momentum: share of the teacher's old weights that stays.
    """
    teacher.momentum = momentum
    teacher.update(student)
    # Statistics of batch norms are averages already; a teacher with those of the start would see other features.
    for kept, current in zip(teacher.model.buffers(), student.buffers(), strict=True):
        kept.copy_(current)
