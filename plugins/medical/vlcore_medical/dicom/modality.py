"""From stored values to values with a unit: Modality LUT or rescale (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from vlcore_medical.dicom.attributes import functional_group, items, number, numbers
from vlcore_medical.dicom.image import DicomImage, DicomValueError, placed
from vlcore_medical.dicom.lookup_table import lookup_table
from vlcore_medical.dicom.stored_pixels import stored_frames

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class ModalityValues:
    """Grey values of a frame after the modality transform.

    Attributes:
        values: `[H, W]`.
        padding: `[H, W]`, True where there is no image.
        unit: such as HU; empty where the file does not say.
        range: lowest and highest value that the stored bits can express.
    """

    values: NDArray[np.float64]
    padding: NDArray[np.bool_]
    unit: str
    range: tuple[float, float]


def physical_values(image: DicomImage, frame: int = 0) -> tuple[NDArray[np.float32], str]:
    """Values with their unit, such as the Hounsfield units of a CT.

    Args:
        image: monochrome, with its pixel data.
        frame: from 0.

    Returns:
        Values `[H, W]`, NaN where the file pads, and the unit: HU, another of the file, or "" where it is unknown.

    Raises:
        DicomError: if the frame cannot be decoded or is not monochrome.
        MissingDependencyError: if its transfer syntax needs a library that is not installed.
    """
    with placed(image):
        stored, photometric = next(stored_frames(image, [frame]))
        if photometric not in MONOCHROME:
            raise DicomValueError(f"is {photometric}. Only monochrome images have values with a unit; render it.")
        modality = modality_values(image.dataset, stored, frame)
    values = modality.values.astype(np.float32)
    values[modality.padding] = np.nan
    return values, modality.unit


def modality_values(dataset: Dataset, stored: NDArray[Any], frame: int) -> ModalityValues:
    """Apply the Modality LUT if there is one, else the rescale slope and intercept, else nothing.

    Args:
        dataset: header.
        stored: `[H, W]` of this frame.
        frame: from 0.

    Raises:
        DicomValueError: if an attribute of the transform cannot be used.
    """
    values = stored.astype(np.float64)
    padding = _padding(dataset, values)
    lowest, highest = _stored_range(dataset, stored)
    if tables := items(dataset, "ModalityLUTSequence"):
        table = lookup_table(tables[0], signed=lowest < 0, little_endian=little_endian(dataset))
        return ModalityValues(table.look_up(values), padding, value_unit(dataset, frame), (0, table.top))
    group = functional_group(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = number(group, "RescaleSlope", 1), number(group, "RescaleIntercept", 0)
    if slope == 0:
        raise DicomValueError("RescaleSlope is 0, which makes all values equal. Export the file again.")
    low, high = sorted((lowest * slope + intercept, highest * slope + intercept))
    return ModalityValues(values * slope + intercept, padding, value_unit(dataset, frame), (low, high))


def value_unit(dataset: Dataset, frame: int) -> str:
    """Unit of the values of a frame after the modality transform; empty where the file does not say."""
    if tables := items(dataset, "ModalityLUTSequence"):
        return _unit(tables[0].get("ModalityLUTType"))
    group = functional_group(dataset, frame, "PixelValueTransformationSequence")
    if "RescaleSlope" not in group:
        return ""
    # PS3.3 C.11.1.1.2: a CT that names no unit is in Hounsfield units.
    return _unit(group.get("RescaleType")) or ("HU" if dataset.get("Modality") == "CT" else "")


def little_endian(dataset: Dataset) -> bool:
    """Byte order of the file."""
    return bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)


def _unit(value: Any) -> str:
    return "" if value in (None, "", "US") else str(value)  # US: unspecified


def _stored_range(dataset: Dataset, stored: NDArray[Any]) -> tuple[float, float]:
    if stored.dtype.kind == "f":
        return float(stored.min()), float(stored.max())
    bits = int(number(dataset, "BitsStored", stored.dtype.itemsize * 8))
    signed = number(dataset, "PixelRepresentation", 0) != 0
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0, 2.0**bits - 1)


def _padding(dataset: Dataset, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where stored values say that there is no image (PS3.3 C.7.5.1.1.2)."""
    ends = numbers(dataset, "PixelPaddingValue")
    if not ends:
        return np.zeros(values.shape, dtype=bool)
    ends += numbers(dataset, "PixelPaddingRangeLimit")
    signed = bool(number(dataset, "PixelRepresentation", 0))
    # Implicit transfer syntaxes do not tell signed from unsigned: 63536 stands for -2000 in signed pixels.
    ends = [end - 2**16 if signed and end >= 2**15 else end % 2**16 if not signed else end for end in ends]
    return (values >= min(ends)) & (values <= max(ends))
