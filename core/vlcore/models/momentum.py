"""A copy of a model that follows it slowly."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

T = TypeVar("T", bound=nn.Module)


class MomentumModel(nn.Module, Generic[T]):
    """Exponential moving average of a model's weights, used as a teacher (MoCo, arXiv 1911.05722; ALBEF, 2107.07651).

    After k updates a weight is `m^k w_0 + (1 - m) sum_i m^(k-i) w_i`. It gets no gradients and no dropout.

    Args:
        model: to follow.
        momentum: m, share of the old average that stays.
    """

    model: T

    def __init__(self, model: T, momentum: float = 0.995) -> None:
        super().__init__()
        self.momentum = momentum
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: T) -> None:
        """Take a step after the model."""
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - self.momentum)

    def train(self, mode: bool = True) -> MomentumModel[T]:
        """A teacher stays in evaluation mode."""
        super().train(False)
        return self
