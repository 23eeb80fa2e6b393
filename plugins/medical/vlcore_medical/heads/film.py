"""A state that a text scales and shifts."""

from __future__ import annotations

from torch import Tensor, nn


class FiLM(nn.Module):
    """`x * (1 + scale(t)) + shift(t)` per channel (arXiv 1709.07871); it changes nothing before training.

    Args:
        text_width: Wt.
        channels: C of the state.
    """

    def __init__(self, text_width: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(text_width, 2 * channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, state: Tensor, text: Tensor) -> Tensor:
        """Modulate `[B, …, C]`, channels last, by text features `[B, Wt]`."""
        scale, shift = self.project(text).chunk(2, dim=-1)
        shape = (len(state), *[1] * (state.ndim - 2), state.shape[-1])
        modulated: Tensor = state * (1 + scale.view(shape)) + shift.view(shape)
        return modulated
