"""The slices of one DICOM series as a volume.

Own code: the reader of MONAI 1.6 orders slices by instance number, leaves those without one out, and takes the distance
of slices from their z alone.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore_medical.dicom.collection import Collection, open_collection
from vlcore_medical.dicom.image import DicomImage, DicomValueError, open_dicom, placed
from vlcore_medical.dicom.modality import physical_values
from vlcore_medical.dicom.stored_pixels import frame_count
from vlcore_medical.volumes.geometry import slice_geometry


def read_series(path: Path, series: str | None = None) -> tuple[NDArray[np.float32], NDArray[np.float64], str]:
    """Read a series.

    Args:
        path: folder or zip archive of its slices; other files in it are left out.
        series: Series Instance UID, where there are several.

    Returns:
        Values `[X, Y, Z]`, padding as the lowest value; the affine `[4, 4]` to millimetres in RAS; the unit.

    Raises:
        ConfigurationError: if there is no such series, or several and none is named.
        DicomError: if the slices make no even stack, or one cannot be read.
        MissingDependencyError: if a transfer syntax needs a library that is not installed.
    """
    with open_collection(path) as collection:
        slices = _choose(path, _series(collection), series)
        order, affine = slice_geometry(slices)
        planes, units = [], set()
        for index in order:
            name = slices[index].place
            with collection.open(name) as handle:
                values, unit = physical_values(open_dicom(io.BytesIO(handle.read()), name))
            planes.append(values.T)
            units.add(unit)
    with placed(slices[0]):
        if len(units) > 1:
            raise DicomValueError(f"has values in {' and '.join(map(repr, sorted(units)))} within one series.")
    volume = np.stack(planes, axis=-1)
    seen = np.isfinite(volume)
    volume[~seen] = volume[seen].min() if seen.any() else 0
    return volume, affine, units.pop()


def _series(collection: Collection) -> dict[str, list[DicomImage]]:
    """Headers of all images by their series."""
    found: dict[str, list[DicomImage]] = {}
    for name in collection.names:
        with collection.open(name) as handle:
            if handle.read(132)[128:] != b"DICM":
                continue
            handle.seek(0)
            image = open_dicom(handle, name, pixels=False)
        if "Rows" in image.dataset:
            found.setdefault(str(image.dataset.get("SeriesInstanceUID") or ""), []).append(image)
    return found


def _choose(path: Path, found: dict[str, list[DicomImage]], series: str | None) -> list[DicomImage]:
    if series is None and len(found) > 1:
        sizes = ", ".join(str(len(slices)) for slices in found.values())
        raise ConfigurationError(
            f"{path} holds {len(found)} series, of {sizes} images. Give the folder of one, or its Series Instance UID."
        )
    slices = next(iter(found.values()), []) if series is None else found.get(series, [])
    if not slices:
        raise ConfigurationError(f"{path} holds no {'image' if series is None else 'image of that series'}.")
    for image in slices:
        with placed(image):
            if frame_count(image.dataset) > 1:
                raise DicomValueError("holds several frames. Only series of one image per file make a volume.")
    return slices
