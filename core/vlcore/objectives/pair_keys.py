"""Which pairs of a batch belong together, without ever writing down all combinations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PairKeys(NamedTuple):
    """Pairs i and j are positives of each other where they share the image or the words, and each of itself.

    Without this, another caption of the same image, or the same caption of another image, would be pushed away as a
    false negative. The relation is symmetric; it need not be transitive.

    Args:
        numbers: `[K, N]` int32, one row per kind of key with equal numbers for equal keys.
        positives: `[N]` int64, how many positives each pair has.
        views: `[N]` int64, how many pairs show the same image.
    """

    numbers: Tensor
    positives: Tensor
    views: Tensor

    @classmethod
    def number(cls, image_index: Tensor | None, text_key: Tensor | None, pairs: int, device: torch.device) -> PairKeys:
        """Number the keys `[N]` of all pairs; where there are none, every pair is its own only positive."""
        single = torch.ones(pairs, dtype=torch.int64, device=device)
        if image_index is None and text_key is None:
            return cls(torch.arange(pairs, dtype=torch.int32, device=device)[None], single, single)
        # Sorting and searching never wait for the device, as counting distinct keys would.
        images = None if image_index is None else _first_place_and_count(image_index)
        texts = None if text_key is None else _first_place_and_count(text_key)
        numbers = torch.stack([found[0].int() for found in (images, texts) if found is not None])
        if images is None:
            assert texts is not None
            return cls(numbers, texts[1], single)
        if texts is None:
            return cls(numbers, images[1], images[1])
        _, both = _first_place_and_count(images[0] * pairs + texts[0])
        return cls(numbers, images[1] + texts[1] - both, images[1])

    def mask(self, rows: slice, columns: slice, out: tuple[Tensor, Tensor]) -> Tensor:
        """Positives of a tile: bool `[rows, columns]`, written to the first of two buffers of that shape."""
        torch.eq(self.numbers[0, rows, None], self.numbers[0, None, columns], out=out[0])
        for numbers in self.numbers[1:]:
            torch.eq(numbers[rows, None], numbers[None, columns], out=out[1])
            out[0].logical_or_(out[1])
        return out[0]


def _first_place_and_count(key: Tensor) -> tuple[Tensor, Tensor]:
    """Of every key `[N]`: the place of the first like it in sorted order, and how many are like it."""
    ordered = key.sort().values
    first = torch.searchsorted(ordered, key)
    return first, torch.searchsorted(ordered, key, right=True) - first
