"""Which patches of an image a model has to guess."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError


class HiddenPatches(NamedTuple):
    """Patches of B images, equally many hidden of each.

    Attributes:
        kept: `[B, K]` numbers of those that are seen, ascending.
        hidden: `[B, R]` bool, True on the others.
    """

    kept: Tensor
    hidden: Tensor


def check_share(share: float) -> None:
    """Say plainly that a share cannot be hidden.

    Raises:
        ConfigurationError: if it is not above 0 and below 1.
    """
    if not 0 < share < 1:
        raise ConfigurationError(f"hidden_patches={share}: choose a share above 0 and below 1, such as 0.75.")


def hide_patches(images: int, patches: int, share: float, device: torch.device | str = "cpu") -> HiddenPatches:
    """Hide patches, all alike likely, each image by itself (MAE, arXiv 2111.06377).

    Args:
        images: B.
        patches: R, at least 2.
        share: that is hidden: int(R * (1 - share)) are kept, at least one, and at least one is hidden.
        device: of the result.
    """
    count = min(max(1, int(patches * (1 - share))), patches - 1)
    order = torch.rand(images, patches, device=device).argsort(dim=1)
    kept = order[:, :count].sort(dim=1).values
    hidden = torch.ones(images, patches, dtype=torch.bool, device=device).scatter(1, kept, False)
    return HiddenPatches(kept, hidden)
