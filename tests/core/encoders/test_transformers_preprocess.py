from __future__ import annotations

import json

import numpy as np
import pytest
import transformers
from PIL import Image
from torchvision.transforms.v2 import functional as F

from vlcore.encoders.transformers_preprocess import preprocess_of, read_preprocess
from vlcore.errors import ModelDirectoryError

CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48, 0.45, 0.4],
    "image_std": [0.26, 0.26, 0.27],
    "do_convert_rgb": True,
}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 30, "width": 40},
    "resample": 2,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


def geometry(image, preprocess):
    """The definition of `ImagePreprocess`, through torchvision and Pillow."""
    modes = {"bilinear": F.InterpolationMode.BILINEAR, "bicubic": F.InterpolationMode.BICUBIC}
    mode = modes[preprocess.interpolation]
    if preprocess.resize == "squash":
        return F.resize(image, list(preprocess.size), interpolation=mode)
    return F.center_crop(F.resize(image, [preprocess.resize_to], interpolation=mode), list(preprocess.size))


@pytest.mark.parametrize(
    "processor",
    [
        transformers.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
        transformers.SiglipImageProcessor(size={"height": 32, "width": 32}),
        transformers.ViTImageProcessor(size={"height": 30, "width": 40}),
        transformers.BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
        transformers.ConvNextImageProcessor(size={"shortest_edge": 32}),
        transformers.ConvNextImageProcessor(size={"shortest_edge": 384}),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_pixels_equal_those_of_transformers(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    preprocess = read_preprocess(tmp_path)
    smooth = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(smooth).resize((90, 60), Image.Resampling.BICUBIC)
    expected = processor(images=image, return_tensors="np")["pixel_values"][0]
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    found = ((np.asarray(geometry(image, preprocess)) / 255 - mean) / std).transpose(2, 0, 1)
    assert found.shape == expected.shape == (3, *preprocess.size)
    # The picture leaves an even number of pixels beside the crop: of an odd number, transformers cuts the smaller
    # half off the start and torchvision the even one, which moves the crop by a pixel.
    # Resampling rounds to whole grey values; libraries differ by one or two of them.
    assert np.abs(found - expected).max() < 2.5 / 255 / std.min()
    assert np.abs(found - expected).mean() < 0.5 / 255 / std.min()


def test_older_files_state_sizes_as_one_number():
    legacy = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 32, "do_center_crop": True}
    legacy |= {key: CLIP[key] for key in ("resample", "image_mean", "image_std")}
    assert preprocess_of(legacy, "here") == preprocess_of(CLIP, "here")
    square = preprocess_of(VIT | {"size": 32}, "here")
    assert (square.size, square.resize) == ((32, 32), "squash")


def test_joint_file_of_newer_releases(tmp_path):
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": CLIP, "processor_class": "CLIPProcessor"})
    )
    assert read_preprocess(tmp_path) == preprocess_of(CLIP, "here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (CLIP | {"do_resize": False}, "do_resize=False"),
        (CLIP | {"do_normalize": False}, "do_normalize=False"),
        (CLIP | {"do_rescale": False}, "do_rescale=False"),
        (CLIP | {"rescale_factor": 1 / 127.5}, "rescale_factor"),
        (CLIP | {"resample": 1}, "resample=1"),
        (CLIP | {"do_center_crop": False}, "do_center_crop=False"),
        (CLIP | {"size": {"shortest_edge": 20}}, "crop_size"),
        (CLIP | {"size": {"longest_edge": 40}}, "longest_edge"),
        (CLIP | {"do_pad": True}, "do_pad=True"),
        (CLIP | {"rescale_offset": True}, "rescale_offset=True"),
        (CLIP | {"image_mean": [0.5]}, "image_mean"),
        (CLIP | {"image_processor_type": "Siglip2ImageProcessor"}, "Siglip2ImageProcessor"),
        (CLIP | {"image_processor_type": "EfficientNetImageProcessor"}, "EfficientNetImageProcessor"),
        (VIT | {"do_center_crop": True, "crop_size": {"height": 20, "width": 20}}, "crop_size"),
        ({key: value for key, value in CLIP.items() if key != "image_std"}, "lacks image_std"),
        ({key: value for key, value in CLIP.items() if key != "size"}, "lacks size"),
        ({key: value for key, value in CLIP.items() if key != "image_processor_type"}, "image_processor_type"),
    ],
)
def test_what_has_no_equal_is_an_error(values, message):
    with pytest.raises(ModelDirectoryError, match=message):
        preprocess_of(values, "here")
