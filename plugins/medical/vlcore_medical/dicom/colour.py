"""Colour frames as RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from vlcore_medical.dicom.attributes import number, numbers
from vlcore_medical.dicom.image import DicomValueError, quiet


def to_rgb(dataset: Dataset, pixels: NDArray[Any], photometric: str) -> NDArray[np.uint8]:
    """Colours of a frame.

    Args:
        dataset: header.
        pixels: `[H, W]` for PALETTE COLOR, else `[H, W, 3]`.
        photometric: interpretation of the pixels as they were decoded.

    Returns:
        `[H, W, 3]`.

    Raises:
        DicomValueError: if the interpretation is none of PALETTE COLOR, RGB and the YBR that decoders turn into RGB,
            or the palette is damaged.
    """
    if photometric == "PALETTE COLOR":
        return _palette(dataset, pixels)
    if photometric != "RGB" or pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise DicomValueError(
            f"PhotometricInterpretation is {photometric!r:.40} with pixels of shape {pixels.shape}. It must be "
            f"MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR. Convert it to RGB."
        )
    return _eight_bits(pixels, int(number(dataset, "BitsStored", 8)))


def _palette(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    descriptor = numbers(dataset, "RedPaletteColorLookupTableDescriptor")
    if len(descriptor) != 3:
        raise DicomValueError("is PALETTE COLOR without a palette. Export the file again.")
    first, count = int(descriptor[1]), int(descriptor[0]) % 2**16 or 2**16
    # pydicom 3.0 counts in the type of the table's entries, where larger pixel values would start again from 0.
    inside = np.clip(pixels.astype(np.int64), first, first + count - 1)
    with quiet():
        try:
            colours = apply_color_lut(inside, dataset)[..., :3]
        except Exception as error:  # whatever its parser raises
            reason = " ".join(str(error).split())
            raise DicomValueError(f"its palette cannot be used: {reason:.200}. Export the file again.") from None
    # Entries of 8 bits may stand in words of 16.
    return _eight_bits(colours, 16 if colours.max() > 255 else 8)


def _eight_bits(colours: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return colours.astype(np.uint8)
    scaled = np.rint(colours.astype(np.float64) * (255 / ((1 << bits) - 1)))
    return np.clip(scaled, 0, 255).astype(np.uint8)
