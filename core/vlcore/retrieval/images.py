"""Images in any form a notebook holds them, as preprocessed batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vlcore.data.decode import DecodeReport, OnBadImage, decode_image
from vlcore.data.pixels import orientation, to_rgb, upright
from vlcore.data.progress import track
from vlcore.data.record import ImageRef
from vlcore.data.stream import GREY, ImageStream
from vlcore.data.transform import apply_preprocess
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.types import ImagePreprocess

ImageLike = str | Path | ImageRef | Image.Image | NDArray[np.uint8]


def image_batches(
    images: Sequence[ImageLike],
    preprocess: ImagePreprocess,
    batch_size: int,
    progress: bool,
    on_bad_image: OnBadImage,
    report: DecodeReport | None,
) -> Iterator[Tensor]:
    """Yield `[B, 3, H, W]` uint8 in the order of the images; files are decoded ahead by threads."""
    with track(len(images), "embedding images", progress) as advance:
        if all(isinstance(image, str | Path | ImageRef) for image in images):
            refs = ((str(image), as_ref(image)) for image in images)
            for batch in ImageStream(refs, preprocess, batch_size, on_bad_image=on_bad_image, report=report):
                yield batch.images
                advance(len(batch.ids))
            return
        for start in range(0, len(images), batch_size):
            pixels = [
                _prepared(image, f"image {start + offset}", preprocess, on_bad_image, report)
                for offset, image in enumerate(images[start : start + batch_size])
            ]
            yield torch.stack(pixels)
            advance(len(pixels))


def as_ref(image: Any) -> ImageRef:
    """An image reference for a path."""
    return image if isinstance(image, ImageRef) else ImageRef(Path(image))


def as_pixels(image: ImageLike, sample_id: str) -> NDArray[np.uint8]:
    """`[H, W, 3]` uint8 RGB of an image in any form.

    Raises:
        ConfigurationError: if an array is not `[H, W, 3]` or `[H, W]` uint8.
        ImageDecodeError: if a file cannot be decoded.
    """
    if isinstance(image, Image.Image):
        try:
            image.load()
            return np.ascontiguousarray(upright(to_rgb(image), orientation(image)))
        except (OSError, ValueError) as error:
            raise ImageDecodeError(sample_id, "a PIL image", str(error)) from error
    if isinstance(image, str | Path | ImageRef):
        return decode_image(as_ref(image), sample_id=sample_id)
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or not array.size:
        raise ConfigurationError(
            f"{sample_id} is an array {list(array.shape)} of {array.dtype}; give [H, W, 3] RGB or [H, W] grey, uint8 "
            f"0..255."
        )
    return np.ascontiguousarray(array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2))


def _prepared(
    image: ImageLike, name: str, preprocess: ImagePreprocess, policy: OnBadImage, report: DecodeReport | None
) -> Tensor:
    try:
        pixels = as_pixels(image, name)
    except ImageDecodeError as error:
        if policy == "raise":
            raise
        if report is not None:
            report.add_bad(error, policy)
        return torch.full((3, *preprocess.size), GREY, dtype=torch.uint8)
    if report is not None:
        report.add_decoded()
    return apply_preprocess(pixels, preprocess)
