"""Positives from keys, tile by tile, against the N x N mask."""

from __future__ import annotations

import pytest
import torch
from dense_losses import positive_mask

from vlcore.objectives.pair_keys import PairKeys


@pytest.mark.parametrize("given", [(), (0,), (1,), (0, 1)], ids=str)
def test_masks_and_counts_are_those_of_all_combinations(given):
    generator = torch.Generator().manual_seed(0)
    # Numbers that a product or a cast to 32 bits would spoil.
    both = torch.randint(0, 12, (2, 30), generator=generator) * (2**58 + 12345) - 2**61
    image_index, text_key = (both[side] if side in given else None for side in (0, 1))
    keys = PairKeys.number(image_index, text_key, 30, torch.device("cpu"))
    expected = positive_mask(30, image_index, text_key)
    rows, columns = slice(3, 11), slice(7, 30)
    buffers = torch.ones(8, 23, dtype=torch.bool), torch.ones(8, 23, dtype=torch.bool)
    assert torch.equal(keys.mask(rows, columns, buffers), expected[rows, columns])
    assert torch.equal(keys.positives, expected.sum(1))
    views = torch.ones(30, dtype=torch.int64) if image_index is None else positive_mask(30, image_index).sum(1)
    assert torch.equal(keys.views, views)
