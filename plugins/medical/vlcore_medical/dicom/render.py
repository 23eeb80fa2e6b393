"""DICOM frames as pictures, in the order of the standard.

Stored values, then Modality LUT or rescale, then VOI LUT or window, and only then the inversion of MONOCHROME1
(PS3.3 C.7.6.3, C.11.1, C.11.2, C.11.6). Inverting earlier, or scaling from the lowest to the highest stored value,
shows other grey values or a negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from vlcore_medical.dicom.colour import to_rgb
from vlcore_medical.dicom.image import DicomImage, DicomValueError, placed, quiet
from vlcore_medical.dicom.modality import MONOCHROME, modality_values
from vlcore_medical.dicom.stored_pixels import frame_count, stored_frames
from vlcore_medical.dicom.voi import WindowChoice, choose_view


def render(image: DicomImage, frame: int = 0, window: WindowChoice = 0, overlays: bool = False) -> NDArray[np.uint8]:
    """Render one frame.

    Args:
        image: with its pixel data.
        frame: from 0.
        window: which of the file's own views from 0 (VOI LUTs before windows), the name of a CT window such as
            `lung`, or a centre and a width. Colour images have no windows.
        overlays: paint the file's overlay planes white; they can hold burned-in text.

    Returns:
        Grey values `[H, W]`, or colours `[H, W, 3]`. Padding is black.

    Raises:
        DicomError: if the frame cannot be decoded or an attribute of its way to the screen cannot be used.
        ConfigurationError: if the window cannot be had.
        UnknownNameError: if no CT window has that name.
        MissingDependencyError: if its transfer syntax needs a library that is not installed.
    """
    with placed(image):
        stored, photometric = next(stored_frames(image, [frame]))
        picture = _picture(image.dataset, stored, photometric, frame, window)
        if overlays:
            picture[_overlay(image.dataset, frame, picture.shape[:2])] = 255
        return picture


def render_frames(
    image: DicomImage, frames: Iterable[int] | None = None, window: WindowChoice = 0
) -> Iterator[NDArray[np.uint8]]:
    """Render frames one by one, holding one in memory.

    Args:
        image: with its pixel data.
        frames: from 0; all if left out.
        window: as for `render`.

    Yields:
        What `render` returns.

    Raises:
        As `render`.
    """
    with placed(image):
        chosen = list(range(frame_count(image.dataset)) if frames is None else frames)
        for frame, (stored, photometric) in zip(chosen, stored_frames(image, chosen), strict=True):
            yield _picture(image.dataset, stored, photometric, frame, window)


def is_inverted(dataset: Dataset) -> bool:
    """Whether low values are bright: MONOCHROME1, or the Presentation LUT Shape INVERSE that must come with it.

    Where the two contradict each other, either is enough: IDENTITY is what careless writers put into every file.
    """
    shape, photometric = dataset.get("PresentationLUTShape"), dataset.get("PhotometricInterpretation")
    return bool(photometric == "MONOCHROME1" or shape == "INVERSE")


def _picture(
    dataset: Dataset, stored: NDArray[Any], photometric: str, frame: int, window: WindowChoice
) -> NDArray[np.uint8]:
    if photometric not in MONOCHROME:
        return to_rgb(dataset, stored, photometric)
    if stored.ndim != 2:
        raise DicomValueError(f"is {photometric} with {stored.shape[-1]} samples per pixel. It must have 1.")
    modality = modality_values(dataset, stored, frame)
    brightness = choose_view(dataset, modality, frame, window).apply(modality.values)
    if is_inverted(dataset):
        brightness = 1 - brightness
    brightness[modality.padding] = 0
    return np.rint(brightness * 255).astype(np.uint8)


def _overlay(dataset: Dataset, frame: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where any overlay plane (PS3.3 C.9.2) of this size is set, `[H, W]`."""
    painted = np.zeros(shape, dtype=bool)
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x3000) not in dataset:
            continue
        with quiet():
            try:
                plane = dataset.overlay_array(group)
            except Exception as error:  # whatever its parser raises
                raise DicomValueError(
                    f"its overlay {group:04X} cannot be read ({type(error).__name__}). Leave overlays out."
                ) from None
        plane = plane[min(frame, len(plane) - 1)] if plane.ndim == 3 else plane
        if plane.shape != shape:
            raise DicomValueError(f"its overlay {group:04X} is {plane.shape}, its image {shape}. Leave overlays out.")
        painted |= plane.astype(bool)
    return painted
