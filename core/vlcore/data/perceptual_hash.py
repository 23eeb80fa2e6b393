"""What an image looks like in few bytes, to find others that look nearly the same."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIDE = 32
"""Pixels on each side that are left of an image before it is hashed."""
THUMBNAIL = 16
"""Pixels on each side of the grey thumbnail that confirms a match."""
FLAT_RANGE = 8
"""Grey levels, of 255, within which all pixels of a featureless image lie."""
MAX_PIXELS = 178_956_970
"""Largest image that is looked at: twice Pillow's default warning limit."""
# Pillow knows more formats; some start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA")

_FREQUENCIES = 8
# Rows of the type-II discrete cosine transform: frequency k of SIDE samples, without the constant scale.
_COSINES = np.cos(np.pi / SIDE * np.outer(np.arange(_FREQUENCIES), np.arange(SIDE) + 0.5))


@dataclass(frozen=True, slots=True)
class Appearance:
    """Look of an image.

    Attributes:
        hash: 64 bits; few differ between images that look alike. Means nothing for flat images.
        thumbnail: `THUMBNAIL * THUMBNAIL` bytes of grey.
        colour: mean red, green and blue, 0..255.
        flat: whether there is nothing to see but the colour.
    """

    hash: int
    thumbnail: bytes
    colour: tuple[int, int, int]
    flat: bool


def appearance(data: bytes, window: tuple[int, int, int, int] | None = None) -> Appearance:
    """Look at an encoded image, decoded small and turned upright.

    The hash is the DCT hash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): the
    signs of the 8 x 8 lowest frequencies of a 32 x 32 grey image against their median.

    Args:
        data: the encoded bytes.
        window: column, row, width and height of the part to look at.

    Raises:
        ValueError: if the bytes are no image that can be decoded.
    """
    try:
        pixels = _small_rgb(data, window)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise nearly anything
        raise ValueError(str(error) or type(error).__name__) from error
    grey = pixels @ np.array([0.299, 0.587, 0.114])  # [32, 32], ITU-R BT.601
    frequencies = (_COSINES @ grey @ _COSINES.T).ravel()  # [64]
    bits = frequencies > np.median(frequencies[1:])  # the first is the mean brightness
    step = SIDE // THUMBNAIL
    thumbnail = grey.reshape(THUMBNAIL, step, THUMBNAIL, step).mean(axis=(1, 3))
    red, green, blue = (round(float(mean)) for mean in pixels.mean(axis=(0, 1)))
    return Appearance(
        hash=int.from_bytes(np.packbits(bits).tobytes(), "big"),
        thumbnail=thumbnail.round().astype(np.uint8).tobytes(),
        colour=(red, green, blue),
        flat=bool(np.ptp(pixels, axis=(0, 1)).max() <= FLAT_RANGE),
    )


def _small_rgb(data: bytes, window: tuple[int, int, int, int] | None) -> NDArray[np.float64]:
    """`[32, 32, 3]` in 0..255."""
    image = Image.open(io.BytesIO(data), formats=_readable_formats())
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}")
    if window is None:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded at an eighth of its size where that suffices
    upright = ImageOps.exif_transpose(image)
    if window is not None:
        column, row, width, height = window
        upright = upright.crop((column, row, column + width, row + height))
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        # Pillow would clip these to 255; what counts for the look is their own range.
        values = np.asarray(upright, dtype=np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        scaled = np.nan_to_num((values - low) / max(high - low, 1e-12)) * 255
        upright = Image.fromarray(scaled.astype(np.uint8))
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(upright.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)


@cache
def _readable_formats() -> tuple[str, ...]:
    """The formats that this build of Pillow knows."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
