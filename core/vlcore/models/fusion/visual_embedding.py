"""Patches, cells or regions to the states that an image begins with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.models.fusion.shape import FusionShape
from vlcore.types import VisualTokens


class VisualEmbedding(nn.Module):
    """Feature and place of every token, each projected and normalised, and the kind of token added up.

    This is UNITER's (arXiv 1909.11740, section 3.1). In front of an image's tokens stands one for the whole of it, as
    InterBERT (arXiv 2003.13198) has it: the mean of their features, with the whole image for its box. So an image
    without a single region still has a state.

    Args:
        in_features: W of the tokens.
        shape: sizes.
    """

    def __init__(self, in_features: int, shape: FusionShape) -> None:
        super().__init__()
        self.in_features = in_features
        self.feature = nn.Linear(in_features, shape.width)
        self.feature_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.place = nn.Linear(7, shape.width)
        self.place_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.kind = nn.Parameter(torch.zeros(shape.width))
        self.masked = nn.Parameter(torch.zeros(in_features))
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, visual: VisualTokens, region_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embed B images.

        Args:
            visual: R tokens of each.
            region_mask: `[B, R]` bool, True where a token is hidden: its feature becomes a learned one, its place
                stays.

        Returns:
            States `[B, 1 + R, D]` and mask `[B, 1 + R]` bool; the first is of the whole image.
        """
        features = visual.features
        if region_mask is not None:
            features = torch.where(region_mask[..., None], self.masked.to(features.dtype), features)
        real = visual.mask[..., None].to(features.dtype)
        whole = (features * real).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp(min=1)
        features = torch.cat([whole, features], dim=1)
        mask = torch.cat([torch.ones_like(visual.mask[:, :1]), visual.mask], dim=1)
        place = box_coordinates(visual)
        states = self.feature_norm(self.feature(features)) + self.place_norm(self.place(place)) + self.kind
        return self.dropout(self.norm(states)), mask


def box_coordinates(visual: VisualTokens) -> Tensor:
    """Left, top, right, bottom, width, height and area `[B, 1 + R, 7]` in 0..1; the first is the whole image.

    Tokens without a place get the whole image: they carry it themselves.
    """
    whole = visual.features.new_tensor([0.0, 0.0, 1.0, 1.0])
    count = (visual.features.shape[0], 1 + visual.features.shape[1], 4)
    if visual.boxes is None:
        boxes = whole.expand(count)
    else:
        boxes = torch.cat([whole.expand(count[0], 1, 4), visual.boxes.to(whole)], dim=1)
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return torch.cat([boxes, torch.stack([width, height, width * height], dim=-1)], dim=-1)
