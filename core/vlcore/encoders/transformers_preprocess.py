"""preprocessor_config.json of transformers, mapped to vlcore's preprocessing exactly or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from vlcore.encoders.source_folder import read_json
from vlcore.errors import ModelDirectoryError
from vlcore.types import ImagePreprocess

PREPROCESSOR_FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"

# Processors that resize, crop, scale and normalise in this order and do nothing else, and what each takes an
# unstated `do_center_crop` and a size given as one number for.
_CROPPING = {"CLIP", "ChineseCLIP", "Bit"}
_SQUASHING = {"ViT", "Siglip", "Blip", "DINOv3ViT"}
_CONVNEXT = "ConvNext"
_SUFFIXES = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")

_KNOWN = {
    "crop_pct",
    "crop_size",
    "do_center_crop",
    "do_convert_rgb",
    "do_normalize",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "resample",
    "rescale_factor",
    "size",
}
# Entries that name classes, layouts and devices; they do not touch the pixels.
_HARMLESS = {
    "data_format",
    "default_to_square",
    "device",
    "disable_grouping",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "processor_class",
    "return_tensors",
}


def read_preprocess(folder: Path) -> ImagePreprocess:
    """Read the preprocessing of a transformers folder.

    Raises:
        ModelDirectoryError: if the file is missing, or says something that has no equal here.
    """
    path = folder / PREPROCESSOR_FILE
    if not path.is_file() and (folder / PROCESSOR_FILE).is_file():
        # Newer releases keep the image part inside the joint file of image and text.
        path = folder / PROCESSOR_FILE
        values = read_json(path, "the preprocessing of images").get("image_processor")
        if not isinstance(values, dict):
            raise ModelDirectoryError(f"{path} has no image_processor, and {folder / PREPROCESSOR_FILE} is missing.")
    else:
        values = read_json(path, "the preprocessing of images")
    return preprocess_of(values, path)


def preprocess_of(values: Mapping[str, Any], place: Path | str) -> ImagePreprocess:
    """Turn the values of a transformers image processor into vlcore's preprocessing.

    Args:
        values: of the file.
        place: of the file, for the message.

    Raises:
        ModelDirectoryError: naming the setting that has no equal.
    """
    kind = _kind(values, place)
    strange = {key for key, value in values.items() if key not in _KNOWN | _HARMLESS and value not in (None, False)}
    if strange:
        _refuse(place, {key: values[key] for key in strange})
    for flag in ("do_resize", "do_rescale", "do_normalize"):
        if values.get(flag) is False:
            _refuse(place, {flag: values[flag]})
    if missing := [key for key in ("size", "image_mean", "image_std", "resample") if values.get(key) is None]:
        raise ModelDirectoryError(f"{place} lacks {', '.join(missing)}; defaults could change the features.")
    if not math.isclose(values.get("rescale_factor") or 1 / 255, 1 / 255, rel_tol=1e-4):
        _refuse(place, {"rescale_factor": values["rescale_factor"]})
    if values["resample"] not in (2, 3):
        _refuse(place, {"resample": values["resample"]})
    interpolation: Literal["bilinear", "bicubic"] = "bilinear" if values["resample"] == 2 else "bicubic"
    size, resize, resize_to = _geometry(values, kind, place)
    return ImagePreprocess(
        (size[0], size[1]),
        resize,
        resize_to,
        interpolation,
        _colours(values["image_mean"], place),
        _colours(values["image_std"], place),
    )


def _kind(values: Mapping[str, Any], place: Path | str) -> str:
    name = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "")
    kind = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    if kind not in _CROPPING | _SQUASHING | {_CONVNEXT}:
        _refuse(place, {"image_processor_type": name})
    return kind


def _geometry(
    values: Mapping[str, Any], kind: str, place: Path | str
) -> tuple[tuple[int, int], Literal["shortest", "squash"], int]:
    size = values["size"]
    if kind == _CONVNEXT:
        edge = int(size["shortest_edge"] if isinstance(size, Mapping) else size)
        if edge >= 384:
            return (edge, edge), "squash", edge
        return (edge, edge), "shortest", int(edge / float(values.get("crop_pct") or 224 / 256))
    if isinstance(size, int):
        size = {"height": size, "width": size} if kind in _SQUASHING else {"shortest_edge": size}
    cropping = values.get("do_center_crop")
    cropping = kind in _CROPPING if cropping is None else cropping
    crop = values.get("crop_size")
    given = {key for key, value in size.items() if value is not None}
    if given == {"height", "width"}:
        target = (int(size["height"]), int(size["width"]))
        if cropping and _pair(crop) not in (None, target):
            _refuse(place, {"size": size, "crop_size": crop})
        return target, "squash", min(target)
    if given != {"shortest_edge"} or not cropping or _pair(crop) is None:
        _refuse(place, {"size": size, "do_center_crop": cropping, "crop_size": crop})
    target, edge = _pair(crop) or (0, 0), int(size["shortest_edge"])
    if edge < max(target):
        _refuse(place, {"size": size, "crop_size": crop})
    return target, "shortest", edge


def _pair(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _colours(values: Any, place: Path | str) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or len(values) != 3:
        _refuse(place, {"image_mean or image_std": values})
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _refuse(place: Path | str, settings: Mapping[str, Any]) -> NoReturn:
    listed = ", ".join(f"{key}={value!r}" for key, value in sorted(settings.items()))
    raise ModelDirectoryError(
        f"{place}: {listed} is not supported, and an approximation would change the features. Choose a tower with "
        f"fixed-size images, a centre crop or a plain resize."
    )
