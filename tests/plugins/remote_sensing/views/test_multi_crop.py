"""Views are the parts of an image that they say they are, drawn as they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.views import multi_crop
from vlcore_remote_sensing.views.multi_crop import MultiCrop, draw_boxes
from vlcore_remote_sensing.views.smallest_tile import smallest_tile


def ramps(count=3, side=64):
    """Red grows to the right, green downwards, blue tells the image."""
    line = torch.linspace(0, 252, side)
    red, green = line.expand(side, side), line[:, None].expand(side, side)
    blue = [torch.full((side, side), 40.0 * image) for image in range(count)]
    return torch.stack([torch.stack([red, green, value]) for value in blue]).round().to(torch.uint8)


def test_views_have_their_number_size_and_type():
    views = MultiCrop(2, 5, 24)(ramps())
    assert views.whole.shape == (2, 3, 3, 64, 64) and views.local.shape == (5, 3, 3, 24, 24)
    assert views.whole.dtype == views.local.dtype == torch.uint8
    assert MultiCrop(2, 0)(ramps()).local.shape[:2] == (0, 3)


def test_views_follow_the_seed():
    crop = MultiCrop(2, 3, 24)
    seen = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        seen.append(crop(ramps()))
    assert torch.equal(seen[0].whole, seen[1].whole) and torch.equal(seen[0].local, seen[1].local)
    assert not torch.equal(seen[0].whole, seen[2].whole)


def test_every_view_shows_its_own_image_and_the_box_that_was_drawn(monkeypatch):
    boxes = torch.rand(4 * 3, 2).mul(0.5)
    boxes = torch.cat([boxes, boxes + torch.rand(12, 2) * 0.3 + 0.2], dim=1)
    monkeypatch.setattr(multi_crop, "draw_boxes", lambda count, scale: boxes[:count])
    for mirror in (0.0, 1.0):
        local = MultiCrop(1, 4, 32, mirror=mirror)(ramps()).local.float()  # [4, 3, 3, 32, 32]
        expected = (boxes * 64 - 0.5).view(4, 3, 4) * 252 / 63  # ramps are 4 grey values per pixel
        red = local[:, :, 0].mean(2)  # along columns
        if mirror:
            red = red.flip(-1)
        pixel = (expected[..., 2] - expected[..., 0]) / 32
        assert torch.allclose(red[..., 0], expected[..., 0] + pixel / 2, atol=1.5)
        assert torch.allclose(red[..., -1], expected[..., 2] - pixel / 2, atol=1.5)
        green = local[:, :, 1].mean(3)
        pixel = (expected[..., 3] - expected[..., 1]) / 32
        assert torch.allclose(green[..., 0], expected[..., 1] + pixel / 2, atol=1.5)
        assert torch.allclose(local[:, :, 2].mean((2, 3)), torch.tensor([0.0, 40.0, 80.0]).expand(4, 3), atol=0.5)


def test_a_view_of_everything_is_the_image_itself():
    assert torch.equal(MultiCrop(2, 0, global_scale=(1.0, 1.0), mirror=0.0)(ramps()).whole[1], ramps())


def test_small_views_are_averaged_not_sampled():
    board = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    board[..., ::2] = 254
    view = MultiCrop(1, 1, 16, local_scale=(1.0, 1.0))(board).local
    assert (view.float() - 127).abs().max() <= 64  # of single samples every one would be 0 or 254


def test_boxes_have_the_area_and_the_shape_that_was_asked_for_and_stay_inside():
    torch.manual_seed(0)
    for scale in ((0.05, 0.4), (0.4, 1.0), (1.0, 1.0)):
        boxes = draw_boxes(20_000, scale)
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        area, ratio = width * height, width / height
        assert boxes.min() >= -1e-6 and boxes.max() <= 1 + 1e-6
        assert area.min() >= scale[0] - 1e-5 and area.max() <= scale[1] + 1e-5
        assert float(area.mean()) == pytest.approx(sum(scale) / 2, abs=0.01)
        assert ratio.min() >= 3 / 4 - 1e-4 and ratio.max() <= 4 / 3 + 1e-4
        assert float(ratio.log().mean()) == pytest.approx(0.0, abs=0.01)


def test_small_tiles_get_larger_small_views():
    crop = MultiCrop()
    crop.guard(224, 32)
    assert crop.local_scale == (0.05, 0.4)
    crop.guard(64, 32)
    assert crop.local_scale == (0.25, 0.4)
    with pytest.raises(ConfigurationError, match=r"smallest tile has 48 pixels.*44 % of it.*\(40 %\).*local_views=0"):
        crop.guard(48, 32)
    MultiCrop(local_views=0).guard(4, 32)


def test_the_smallest_tile_is_found_by_headers(tmp_path):
    records = []
    for number, size in enumerate([(80, 60), (64, 72), (100, 50)]):
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(tmp_path / f"{number}.png")
        records.append(Record(str(number), ImageRef(tmp_path / f"{number}.png")))
    assert smallest_tile(records) == 50
    windowed = Record("window", ImageRef(tmp_path / "scene.tif", window=(0, 0, 30, 40)))
    assert smallest_tile([*records, windowed]) == 30
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert smallest_tile([Record("broken", ImageRef(tmp_path / "broken.png"))]) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"global_views": 0}, "global_views=0, local_views=8: choose at least one"),
        ({"global_views": 1, "local_views": 0}, "two views together"),
        ({"local_views": -1}, "local_views=-1"),
        ({"local_size": 0}, "local_size=0: choose a number of pixels"),
        ({"global_scale": (0.0, 1.0)}, r"global_scale=\(0.0, 1.0\): choose two shares"),
        ({"local_scale": (0.5, 0.4)}, r"local_scale=\(0.5, 0.4\)"),
        ({"mirror": 1.1}, "mirror=1.1: choose a probability"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        MultiCrop(**options)
