"""Which patches or regions a model has to guess."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.objectives.text_masking import at_least_one


def mask_regions(mask: Tensor, share: float = 0.15) -> Tensor:
    """Choose each region by itself, at least one of every image that has any (UNITER, arXiv 1909.11740).

    Args:
        mask: `[B, R]` bool, True on real regions.
        share: of the regions.

    Returns:
        `[B, R]` bool.
    """
    lot = torch.rand(mask.shape, device=mask.device)
    return at_least_one(lot, lot < share, mask)


def mask_overlapping_regions(mask: Tensor, boxes: Tensor, share: float = 0.1, overlap: float = 0.4) -> Tensor:
    """Choose anchors, and with them every region that shows much of the same (InterBERT, arXiv 2003.13198).

    Detectors find one thing several times; a region whose twin stays visible can be guessed without the text.

    Args:
        mask: `[B, R]` bool, True on real regions.
        boxes: `[B, R, 4]` left, top, right, bottom.
        share: of the regions that are anchors.
        overlap: smallest intersection over union with an anchor.

    Returns:
        `[B, R]` bool.
    """
    anchors = mask_regions(mask, share)
    near = pairwise_overlap(boxes) >= overlap  # [B, R, R]
    return (near & anchors[:, None, :]).any(dim=-1) & mask | anchors


def pairwise_overlap(boxes: Tensor) -> Tensor:
    """Intersection over union of all pairs of boxes `[B, R, 4]` of an image: `[B, R, R]`."""
    corner = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    opposite = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (opposite - corner).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
    union = area[:, :, None] + area[:, None, :] - shared
    return shared / union.clamp(min=torch.finfo(boxes.dtype).tiny)
