"""From token states to one vector per text, as sentence encoders were trained with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError


class UnitNorm(nn.Module):
    """Scales every vector `[B, W]` to length one."""

    def forward(self, features: Tensor) -> Tensor:
        """`[B, W]` to `[B, W]`."""
        return nn.functional.normalize(features, dim=-1)


def pool_tokens(states: Tensor, mask: Tensor, modes: Sequence[str]) -> Tensor:
    """Pool token states; several modes are appended to each other.

    Args:
        states: `[B, L, W]`.
        mask: `[B, L]`, 1 on real tokens, which come first.
        modes: of `POOLING_MODES`.

    Returns:
        `[B, W * len(modes)]`.
    """
    weights = mask.unsqueeze(-1).to(states.dtype)  # [B, L, 1]
    return torch.cat([_MODES[mode](states, weights) for mode in modes], dim=-1)


def check_modes(modes: Sequence[str], place: str) -> None:
    """Make sure that all modes are known.

    Raises:
        ConfigurationError: naming the unknown one.
    """
    for mode in modes:
        if mode not in _MODES:
            raise ConfigurationError(f"{place}: pooling {mode!r} is not known; there are {', '.join(_MODES)}.")


def _cls(states: Tensor, weights: Tensor) -> Tensor:
    return states[:, 0]


def _max(states: Tensor, weights: Tensor) -> Tensor:
    return states.masked_fill(weights == 0, float("-inf")).amax(dim=1)


def _mean(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _mean_sqrt_length(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights).sum(dim=1) / weights.sum(dim=1).sqrt()


def _weighted_mean(states: Tensor, weights: Tensor) -> Tensor:
    """Later tokens weigh more, in proportion to their position (SGPT, arXiv 2202.08904)."""
    return _mean(states, weights * torch.arange(1, states.shape[1] + 1, device=states.device).view(1, -1, 1))


def _last_token(states: Tensor, weights: Tensor) -> Tensor:
    last = weights.sum(dim=1).long() - 1  # [B, 1]
    return states.gather(1, last.unsqueeze(-1).expand(-1, 1, states.shape[2])).squeeze(1)


_MODES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_length,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
}
POOLING_MODES = tuple(_MODES)
