"""Preprocessing against Pillow and torchvision, which the pretrained towers were trained with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data import transform
from vlcore.data.transform import apply_preprocess, resized_size
from vlcore.types import ImagePreprocess

METHODS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def image_of(height, width, seed=0):
    """Noise over coarse colours: the hardest case for the rounding of a resampler."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height))
    return np.clip(np.asarray(coarse) + rng.normal(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)


def reference(image, preprocess):
    """Resize whole with Pillow, then crop as torchvision's transforms do."""
    from torchvision.transforms import v2

    picture = Image.fromarray(image)
    if preprocess.resize == "squash":
        return np.asarray(picture.resize(preprocess.size[::-1], METHODS[preprocess.interpolation]))
    steps = [v2.Resize(preprocess.resize_to, v2.InterpolationMode(preprocess.interpolation))]
    return np.asarray(v2.Compose([*steps, v2.CenterCrop(preprocess.size)])(picture))


def difference(tensor, pixels):
    return int(np.abs(tensor.permute(1, 2, 0).numpy().astype(int) - pixels.astype(int)).max())


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    ("height", "width"),
    [(375, 500), (500, 375), (333, 501), (150, 200), (224, 224), (256, 256), (257, 256), (1201, 900), (31, 17), (1, 1)],
)
@pytest.mark.parametrize(("resize_to", "size"), [(256, (224, 224)), (224, (224, 224)), (249, (224, 221))])
def test_shortest_is_within_two_grey_levels_of_the_training_transform(height, width, resize_to, size, interpolation):
    preprocess = ImagePreprocess(size=size, resize="shortest", resize_to=resize_to, interpolation=interpolation)
    image = image_of(height, width)
    result = apply_preprocess(image, preprocess)
    assert result.shape == (3, *size) and result.dtype == torch.uint8
    assert difference(result, reference(image, preprocess)) <= 2


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    ("height", "width", "bound"),
    # The last one is shrunk in one direction and enlarged in the other, where the order of the two passes shows.
    [(375, 500, 2), (100, 90, 2), (900, 300, 2), (900, 40, 4)],
)
def test_squash(height, width, bound, interpolation):
    preprocess = ImagePreprocess(size=(192, 160), resize="squash", interpolation=interpolation)
    image = image_of(height, width)
    assert difference(apply_preprocess(image, preprocess), reference(image, preprocess)) <= bound


@pytest.mark.parametrize(("height", "width"), [(60, 700), (700, 60), (50, 451), (33, 1000)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_strips_resample_only_what_is_kept_and_give_the_same(height, width, interpolation):
    preprocess = ImagePreprocess(size=(32, 32), resize="shortest", resize_to=36, interpolation=interpolation)
    image = image_of(height, width)
    tall, wide = resized_size(height, width, preprocess)
    assert tall * wide > transform._WASTEFUL * 32 * 32
    assert difference(apply_preprocess(image, preprocess), reference(image, preprocess)) <= 2


def test_an_extreme_strip_needs_no_extreme_memory(monkeypatch):
    def forbidden(*arguments):
        raise AssertionError("the whole strip was resampled")

    monkeypatch.setattr(transform, "_resize", forbidden)
    result = apply_preprocess(image_of(1, 20_000), ImagePreprocess(size=(224, 224), resize_to=256))
    assert result.shape == (3, 224, 224)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (3, 1000), (1000, 3), (64, 64), (100, 65)])
def test_pad_keeps_the_aspect_and_centres(height, width):
    preprocess = ImagePreprocess(size=(64, 96), resize="pad", fill=7)
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    result = apply_preprocess(image, preprocess).permute(1, 2, 0).numpy()
    scale = min(64 / height, 96 / width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (64 - tall) // 2, (96 - wide) // 2
    expected = np.full((64, 96, 3), 7, dtype=np.uint8)
    expected[top : top + tall, left : left + wide] = 200
    np.testing.assert_array_equal(result, expected)


def test_crop_larger_than_the_resized_image_is_filled_as_in_torchvision():
    preprocess = ImagePreprocess(size=(41, 40), resize="shortest", resize_to=30, fill=0)
    image = image_of(60, 75)
    result = apply_preprocess(image, preprocess)
    assert difference(result, reference(image, preprocess)) <= 2


def test_size_already_right_is_untouched():
    image = image_of(224, 224)
    result = apply_preprocess(image, ImagePreprocess(size=(224, 224), resize_to=224))
    np.testing.assert_array_equal(result.permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize("spoil", ["read_only", "flipped", "channels_first"])
def test_any_memory_layout_is_read_right(spoil):
    image = image_of(100, 130)
    expected = apply_preprocess(image.copy(), ImagePreprocess(size=(48, 48), resize_to=48))
    if spoil == "read_only":
        image.flags.writeable = False
    elif spoil == "flipped":
        image = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    else:
        image = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert torch.equal(apply_preprocess(image, ImagePreprocess(size=(48, 48), resize_to=48)), expected)


def test_real_photos_are_within_two_grey_levels(data_root):
    preprocess = ImagePreprocess(size=(224, 224), resize_to=256)
    for path in sorted((data_root / "general" / "flickr8k" / "images").glob("*.jpg"))[:40]:
        image = np.asarray(Image.open(path).convert("RGB"))
        expected = reference(image, preprocess)
        result = apply_preprocess(image, preprocess)
        assert difference(result, expected) <= 2
        error = np.abs(result.permute(1, 2, 0).numpy().astype(float) - expected).mean()
        assert error < 0.3
