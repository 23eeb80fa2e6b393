"""Pillow images of any mode, and any camera orientation, to upright 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEEDS_DOMAIN_READER = (
    "Such values have no agreed black and white, so a guess could be wrong. Read the file with the reader of its "
    "domain (remote_sensing for rasters, medical for scans), which knows the range, or save it as 8-bit or unsigned "
    "16-bit"
)


class RefusedImageError(Exception):
    """A reason, found by vlcore itself, why an image is not read; becomes an ImageDecodeError with its id."""


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Bring a loaded image of any mode to `[H, W, 3]` uint8.

    Transparency is laid on white. Unsigned 16-bit grey is scaled by its full range.

    Raises:
        RefusedImageError: if the values are floating-point, signed, or 32-bit integers.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return np.repeat(_grey_from_16_bits(image)[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        kind = "floating-point" if image.mode == "F" else "signed or 32-bit integer"
        raise RefusedImageError(f"its pixels are {kind} numbers. {NEEDS_DOMAIN_READER}")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _grey_from_16_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Scale unsigned grey of up to 16 bits to 0..255, as `[H, W]`."""
    values = np.asarray(image).astype(np.uint32)
    tags: Any = getattr(image, "tag_v2", {})  # of a TIFF; empty otherwise
    bits = int(np.max(tags.get(258, 16)))  # 258: bits per sample
    full = (1 << bits) - 1
    grey = ((values * 255 + full // 2) // full).astype(np.uint8)
    if tags.get(262) == 0:  # 262: photometric interpretation; 0: white is zero
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return grey


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none or the EXIF block is damaged, as image viewers do."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a damaged block can make its parser raise nearly anything
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo a camera's orientation (EXIF 2.32, tag 0x0112) of `[H, W, 3]`; returns a view."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.transpose(1, 0, 2)
        case 6:
            return np.rot90(pixels, -1)
        case 7:
            return pixels[::-1, ::-1].transpose(1, 0, 2)
        case 8:
            return np.rot90(pixels, 1)
    return pixels


def cut(pixels: NDArray[np.uint8], window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Take column, row, width and height out of `[H, W, 3]`; returns a view.

    Raises:
        RefusedImageError: if the window does not lie within the image.
    """
    column, row, width, height = window
    bottom, right = pixels.shape[0], pixels.shape[1]
    if min(column, row) < 0 or min(width, height) < 1 or column + width > right or row + height > bottom:
        raise RefusedImageError(f"window {window} does not lie within its {right} x {bottom} pixels")
    return pixels[row : row + height, column : column + width]
