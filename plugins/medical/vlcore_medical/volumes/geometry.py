"""Where the slices of a DICOM series lie in the patient (PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from vlcore_medical.dicom.attributes import number, numbers
from vlcore_medical.dicom.image import DicomImage, DicomValueError, placed

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's axes point left, posterior and head; those of NIfTI and MONAI right, anterior and head."""


def slice_geometry(slices: Sequence[DicomImage]) -> tuple[list[int], NDArray[np.float64]]:
    """Order slices by their position and find the affine of the volume.

    Instance numbers are not used: they can run against the position, repeat, or be absent.

    Args:
        slices: headers of one series, any order.

    Returns:
        The order of the slices, and the affine `[4, 4]` from voxel (column, row, slice) to millimetres in RAS.

    Raises:
        DicomError: if a slice has no position, lies otherwise than the first, or is not where an even step puts it.
    """
    first = slices[0]
    with placed(first):
        rows, columns, spacing = _orientation(first.dataset)
        thickness = number(first.dataset, "SliceThickness", 1) or 1
    positions = np.array([_position(image, first) for image in slices])
    normal = np.cross(rows, columns)
    order = [int(index) for index in np.argsort(positions @ normal, kind="stable")]
    ordered = positions[order]
    step = (ordered[-1] - ordered[0]) / (len(slices) - 1) if len(slices) > 1 else normal * thickness
    tolerance = 0.02 * float(np.linalg.norm(step)) + 0.01
    for place, index in enumerate(order):
        distance = float(np.linalg.norm(ordered[0] + place * step - ordered[place]))
        if distance > tolerance or step @ normal <= 0:
            with placed(slices[index]):
                raise DicomValueError(
                    f"lies {distance:.2f} mm from where {len(slices)} slices at even steps of "
                    f"{np.linalg.norm(step):.2f} mm put it. A slice is missing, doubled or of another series."
                )
    affine = np.eye(4)
    # Pixel Spacing is between rows first, then between columns.
    affine[:3] = np.column_stack([rows * spacing[1], columns * spacing[0], step, ordered[0]])
    return order, LPS_TO_RAS @ affine


def _orientation(dataset: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    cosines = np.array(numbers(dataset, "ImageOrientationPatient"))
    spacing = np.array(numbers(dataset, "PixelSpacing"))
    if cosines.shape != (6,) or spacing.shape != (2,) or (spacing <= 0).any():
        raise DicomValueError(
            f"ImageOrientationPatient holds {cosines.size} numbers and PixelSpacing {spacing.tolist()}. They must be 6 "
            f"direction cosines and 2 distances in millimetres; without them there is no volume."
        )
    rows, columns = cosines[:3], cosines[3:]
    if not np.allclose([rows @ rows, columns @ columns, rows @ columns], [1, 1, 0], atol=1e-3):
        raise DicomValueError(
            f"ImageOrientationPatient is {cosines.tolist()}. It must be two directions of length 1 at right angles."
        )
    return rows, columns, spacing


def _position(image: DicomImage, first: DicomImage) -> list[float]:
    dataset = image.dataset
    with placed(image):
        position = numbers(dataset, "ImagePositionPatient")
        if len(position) != 3:
            raise DicomValueError(f"ImagePositionPatient holds {len(position)} numbers. It must hold 3.")
        for keyword in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
            own, others = numbers(dataset, keyword), numbers(first.dataset, keyword)
            if len(own) != len(others) or not np.allclose(own, others, atol=1e-3):
                raise DicomValueError(f"{keyword} is {own}, and {others} in {first.place}. Give one series alone.")
    return position
