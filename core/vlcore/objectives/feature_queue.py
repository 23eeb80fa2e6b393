"""Features of recent batches that serve as further negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EMPTY = -1
"""Key of a place that nothing has been put in yet."""


class FeatureQueue(nn.Module):
    """The last `size` pairs that momentum encoders made features of (MoCo, arXiv 1911.05722; ALBEF, arXiv 2107.07651).

    It is part of a task's state, so a run that is resumed finds it as it was.

    Args:
        size: pairs; more than the data has is allowed: then an image stands in it several times, with features of
            several ages, and each of them counts as a positive.
        width: D.
    """

    image: Tensor
    text: Tensor
    image_index: Tensor
    text_key: Tensor
    place: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        for side in ("image", "text"):
            self.register_buffer(side, nn.functional.normalize(torch.randn(size, width), dim=1))
        self.register_buffer("image_index", torch.full((size,), EMPTY))
        self.register_buffer("text_key", torch.full((size,), EMPTY))
        self.register_buffer("place", torch.zeros(1, dtype=torch.int64))

    @torch.no_grad()
    def put(self, image: Tensor, text: Tensor, image_index: Tensor, text_key: Tensor) -> None:
        """Put pairs in the places of the oldest ones; of more than fit, the last ones.

        Args:
            image: `[B, D]` unit norm.
            text: `[B, D]` unit norm.
            image_index: `[B]` which image.
            text_key: `[B]` which text.
        """
        rows = min(len(image), self.size)
        places = (self.place + torch.arange(rows, device=self.place.device)) % self.size
        new = {"image": image, "text": text, "image_index": image_index, "text_key": text_key}
        for name, values in new.items():
            stored: Tensor = getattr(self, name)
            stored[places] = values[len(values) - rows :].to(stored.dtype)
        self.place.add_(rows).remainder_(self.size)

    @property
    def filled(self) -> Tensor:
        """`[size]` bool, True where a pair is."""
        return self.image_index != EMPTY
