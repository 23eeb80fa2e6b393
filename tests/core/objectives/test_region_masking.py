"""Hidden regions, and what overlaps them."""

from __future__ import annotations

import pytest
import torch

from vlcore.objectives.region_masking import mask_overlapping_regions, mask_regions, pairwise_overlap


def boxes(batch: int = 50, regions: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(batch, regions, 2, generator=generator) * 0.7
    return torch.cat([corner, corner + 0.05 + 0.25 * torch.rand(batch, regions, 2, generator=generator)], dim=-1)


def overlap(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def test_overlap_is_intersection_over_union():
    places = boxes(3, 5).double()
    found = pairwise_overlap(places)
    for image in range(3):
        rows = places[image].tolist()
        expected = [[overlap(one, other) for other in rows] for one in rows]
        assert torch.allclose(found[image], torch.tensor(expected, dtype=torch.float64))


def test_a_box_without_area_overlaps_nothing():
    places = torch.tensor([[[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]]])
    assert torch.equal(pairwise_overlap(places)[0], torch.tensor([[0.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("share", [0.1, 0.15, 0.5])
def test_every_image_with_regions_hides_at_least_one_and_no_padding(share):
    torch.manual_seed(0)
    mask = torch.rand(300, 10) < 0.5
    mask[0] = False
    hidden = mask_regions(mask, share)
    assert not (hidden & ~mask).any()
    assert torch.equal(hidden.any(1), mask.any(1))
    everywhere = mask_regions(torch.ones(2000, 40, dtype=torch.bool), share)
    assert everywhere.float().mean() == pytest.approx(share, abs=0.02)


def test_whatever_overlaps_an_anchor_is_hidden_too():
    torch.manual_seed(0)
    places, mask = boxes(), torch.ones(50, 12, dtype=torch.bool)
    mask[:, 9:] = False
    torch.manual_seed(1)
    anchors = mask_regions(mask, 0.1)
    torch.manual_seed(1)
    hidden = mask_overlapping_regions(mask, places, 0.1, 0.4)
    assert (hidden & ~anchors).any()
    for image in range(50):
        rows = places[image].tolist()
        for region in range(12):
            near = any(anchors[image, anchor] and overlap(rows[region], rows[anchor]) >= 0.4 for anchor in range(12))
            assert bool(hidden[image, region]) == (bool(mask[image, region]) and near)
