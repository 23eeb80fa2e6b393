"""Large and small views of images, cut on the device that trains."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError

Scale = tuple[float, float]
"""Smallest and largest share of an image's area."""

_RATIO = math.log(4 / 3)  # width to height, either way


class Views(NamedTuple):
    """Views of B images.

    Attributes:
        whole: `[G, B, 3, H, W]` uint8 in the tower's size, of most of each image.
        local: `[N, B, 3, h, w]` uint8, of small parts.
    """

    whole: Tensor
    local: Tensor


class MultiCrop:
    """Cuts views at random (SwAV, arXiv 2006.09882; DINO, arXiv 2104.14294).

    Where and how large they are is drawn from PyTorch's generator on the host, so it is the same on every device and
    follows the step's seed. Views are cut from images that are already in the tower's size. They differ in place, size,
    shape and mirroring, not in colour: captions speak of colours.

    Args:
        global_views: G.
        local_views: N; 0 for none.
        local_size: pixels of a side of a small view, as the tower gets it.
        global_scale: share of the image's area in a large view.
        local_scale: share of the image's area in a small view.
        mirror: probability that a view is mirrored left to right; 0 where captions speak of left and right.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    def __init__(
        self,
        global_views: int = 2,
        local_views: int = 8,
        local_size: int = 96,
        global_scale: Scale = (0.4, 1.0),
        local_scale: Scale = (0.05, 0.4),
        mirror: float = 0.5,
    ) -> None:
        if global_views < 1 or local_views < 0 or global_views + local_views < 2:
            raise ConfigurationError(
                f"global_views={global_views}, local_views={local_views}: choose at least one global view, and two "
                f"views together."
            )
        if local_size < 1:
            raise ConfigurationError(f"local_size={local_size}: choose a number of pixels, such as 96.")
        for name, (least, most) in (("global_scale", global_scale), ("local_scale", local_scale)):
            if not 0 < least <= most <= 1:
                raise ConfigurationError(
                    f"{name}=({least}, {most}): choose two shares of the image's area above 0 and up to 1, the smaller "
                    f"one first."
                )
        if not 0 <= mirror <= 1:
            raise ConfigurationError(f"mirror={mirror}: choose a probability, 0 to 1.")
        self.global_views = global_views
        self.local_views = local_views
        self.local_size = local_size
        self.global_scale = global_scale
        self.local_scale = local_scale
        self.mirror = mirror

    def __call__(self, images: Tensor) -> Views:
        """Cut views of images `[B, 3, H, W]` uint8."""
        height, width = images.shape[-2:]
        pixels = images.float()
        return Views(
            self._cut(pixels, self.global_views, (height, width), self.global_scale),
            self._cut(pixels, self.local_views, (self.local_size, self.local_size), self.local_scale),
        )

    def guard(self, tile_pixels: int, least_pixels: int) -> None:
        """Make small views of small tiles large enough to show something.

        A tile of 64 pixels that was enlarged to the tower's 224 has no more to show than before: a twentieth of its
        area is 14 pixels wide. Small views then get no smaller than `least_pixels` of the tile as it was stored.

        Args:
            tile_pixels: the shorter side of the smallest stored tile.
            least_pixels: side of a square view, in pixels of the stored tile.

        Raises:
            ConfigurationError: if no small view would be large enough.
        """
        if not self.local_views:
            return
        least, most = self.local_scale
        needed = (least_pixels / tile_pixels) ** 2
        if needed > most:
            raise ConfigurationError(
                f"The smallest tile has {tile_pixels} pixels, and a view of {least_pixels} of them is "
                f"{100 * needed:.0f} % of it, more than local_scale allows ({100 * most:.0f} %): small views would "
                f"show nothing. Set local_views=0, raise local_scale, or lower least_local_pixels."
            )
        self.local_scale = (max(least, needed), most)

    def _cut(self, pixels: Tensor, views: int, size: tuple[int, int], scale: Scale) -> Tensor:
        from torchvision.ops import roi_align

        count, _, height, width = pixels.shape
        boxes = draw_boxes(views * count, scale) * torch.tensor([width, height, width, height])
        number = torch.arange(count).repeat(views)
        mirrored = torch.rand(views * count) < self.mirror
        rows = torch.cat([number[:, None].to(boxes.dtype), boxes], dim=1).to(pixels.device, non_blocking=True)
        flags = mirrored[:, None, None, None].to(pixels.device, non_blocking=True)
        # As many samples per pixel and side as the largest box has pixels for one: nothing between them is missed.
        largest = min(1.0, math.sqrt(scale[1] * 4 / 3)) * max(height / size[0], width / size[1])
        with torch.autocast(pixels.device.type, enabled=False):
            cut = roi_align(pixels, rows, size, sampling_ratio=max(1, math.ceil(largest)), aligned=True)
        cut = torch.where(flags, cut.flip(-1), cut).round_().clamp_(0, 255).to(torch.uint8)
        return cut.view(views, count, *cut.shape[1:])


def draw_boxes(count: int, scale: Scale) -> Tensor:
    """Draw parts of a unit square: left, top, right and bottom `[count, 4]`.

    The area is uniform in `scale`; the ratio of the sides is log-uniform from 3/4 to 4/3, as far as both fit.
    """
    area, ratio, left, top = torch.rand(4, count)
    area = scale[0] + (scale[1] - scale[0]) * area
    # A part of area a fits into the square with every ratio from a to 1/a.
    log_ratio = (2 * ratio - 1) * torch.clamp(-area.log(), min=0, max=_RATIO)
    width = (area * log_ratio.exp()).sqrt().clamp(max=1)
    height = (area / log_ratio.exp()).sqrt().clamp(max=1)
    left, top = left * (1 - width), top * (1 - height)
    return torch.stack([left, top, left + width, top + height], dim=1)
