"""How much has to be moved to turn the words of a text into the regions of an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Transport(NamedTuple):
    """An optimal transport between the words and the regions of B pairs.

    Attributes:
        cost: `[B]` of moving all words onto regions: sum of plan times distance.
        plan: `[B, L, R]` how much of each word goes to each region; 0 on padding.
    """

    cost: Tensor
    plan: Tensor


def word_region_transport(
    words: Tensor, word_mask: Tensor, regions: Tensor, region_mask: Tensor, beta: float = 0.5, iterations: int = 50
) -> Transport:
    """Optimal transport by the inexact proximal point method (IPOT, arXiv 1802.04307), as in UNITER (arXiv 1909.11740).

    The distance of a word and a region is 1 - cosine; each word weighs 1 / L and each region 1 / R. The plan is
    computed in float32 or wider and without gradient; the cost has gradients through the distances.

    Args:
        words: `[B, L, D]`.
        word_mask: `[B, L]` bool, True on real words.
        regions: `[B, R, D]`.
        region_mask: `[B, R]` bool, True on real regions.
        beta: step of the proximal point method.
        iterations: of it.

    Returns:
        Costs and plans; a pair without words or without regions costs 0.
    """
    dtype = torch.promote_types(words.dtype, torch.float32)
    unit_words, unit_regions = (torch.nn.functional.normalize(side.to(dtype), dim=-1) for side in (words, regions))
    real = word_mask[:, :, None] & region_mask[:, None, :]
    distance = (1 - unit_words @ unit_regions.transpose(1, 2)).masked_fill(~real, 0.0)
    plan = proximal_point_plan(distance.detach(), word_mask, region_mask, beta, iterations)
    return Transport((plan * distance).sum(dim=(1, 2)), plan)


@torch.no_grad()
def proximal_point_plan(
    distance: Tensor, word_mask: Tensor, region_mask: Tensor, beta: float = 0.5, iterations: int = 50
) -> Tensor:
    """Transport plans `[B, L, R]` of distances `[B, L, R]`; arguments as of `word_region_transport`."""
    real = word_mask[:, :, None] & region_mask[:, None, :]
    kernel = torch.exp(-distance / beta) * real
    word_count = word_mask.sum(dim=1, keepdim=True).clamp(min=1)
    region_count = region_mask.sum(dim=1, keepdim=True).clamp(min=1)
    regions = region_mask / region_count.to(distance.dtype)  # sigma of the paper, [B, R]
    plan = real.to(distance.dtype)
    for _ in range(iterations):
        step = kernel * plan
        words = _share(word_mask, word_count * (step @ regions[:, :, None]).squeeze(2))
        regions = _share(region_mask, region_count * (words[:, None, :] @ step).squeeze(1))
        plan = words[:, :, None] * step * regions[:, None, :]
    return plan


def _share(mask: Tensor, total: Tensor) -> Tensor:
    """1 / total on real places, 0 elsewhere."""
    return torch.where(mask & (total > 0), 1 / total.where(total > 0, 1), 0.0)


def word_region_alignment(cost: Tensor, matches: Tensor) -> Tensor:
    """Matching pairs shall cost little, others much: (sum over matches - sum over others) / B.

    UNITER weighs it by 0.1.

    Args:
        cost: `[B]` of `word_region_transport`.
        matches: `[B]` bool, True where image and text belong together.
    """
    return torch.where(matches.bool(), cost, -cost).mean()
