"""Half of the texts get another image, so that a model learns to tell."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class DrawnImages(NamedTuple):
    """An image for each of B texts.

    Attributes:
        image: `[B]` row of it in the batch.
        matches: `[B]` bool, False where another image was drawn.
    """

    image: Tensor
    matches: Tensor


def draw_images(positives: Tensor, may_match: bool = False) -> DrawnImages:
    """Give half of a batch's texts, chosen at random, an image that is not theirs.

    M3AE (arXiv 2209.07098, section 3.2) draws from the whole data set, here it is from the batch. A text that belongs
    to every image of the batch keeps its own.

    Args:
        positives: `[B, B]` bool, True where image (row) and text (column) belong together.
        may_match: draw from all images alike, as the released code does: then some negatives are none.
    """
    count = len(positives)
    rows = torch.arange(count, device=positives.device)
    allowed = torch.ones_like(positives) if may_match else ~positives
    # The largest of equally distributed lots is uniform among those that are allowed.
    lot = torch.rand(positives.shape, device=positives.device).masked_fill(~allowed, -1.0)
    wanted = torch.randperm(count, device=positives.device) >= (count + 1) // 2
    negative = wanted & allowed.any(dim=0)
    return DrawnImages(torch.where(negative, lot.argmax(dim=0), rows), ~negative)
