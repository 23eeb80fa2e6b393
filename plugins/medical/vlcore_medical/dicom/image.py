"""One DICOM object: its header, its place, and what is wrong with it in one sentence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from vlcore.errors import VlcoreError
from vlcore_medical.dicom.elements import walk


class DicomError(VlcoreError):
    """A DICOM object that cannot be used.

    Args:
        place: file (and member) that was read.
        reason: what is wrong with it, and the mend.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class DicomValueError(ValueError):
    """What is wrong with an object, with the offending value and the mend; its place is added by `placed`."""


@dataclass(frozen=True, slots=True)
class DicomImage:
    """A DICOM object that was read.

    Attributes:
        dataset: the header, and the pixel data unless they were left out.
        place: file (and member), for messages.
        notes: how many elements of the header are out of the standard; what pydicom says of them is not kept, since it
            can repeat values.
    """

    dataset: Dataset
    place: str
    notes: int = 0


def open_dicom(source: Path | IO[bytes], place: str = "", pixels: bool = True) -> DicomImage:
    """Read a DICOM file.

    Args:
        source: path or open binary file.
        place: for messages; the path if left out.
        pixels: False leaves the pixel data unread.

    Raises:
        DicomError: if it is no DICOM file or is damaged.
    """
    place = place or str(source)
    with quiet() as notes:
        try:
            dataset = dcmread(source, stop_before_pixels=not pixels)
            # Elements are parsed when first touched: here, so that no warning comes later. One that cannot be parsed
            # is an error only where it is needed.
            damaged = sum(element is None for _, element in walk(dataset))
        except InvalidDicomError:
            raise DicomError(
                place, "is not a DICOM file: 'DICM' does not follow a preamble of 128 bytes (PS3.10 7.1). Remove it."
            ) from None
        except FileNotFoundError:
            raise DicomError(place, "does not exist.") from None
        except Exception as error:  # pydicom lets whatever its parsers raise through; its words can repeat values
            raise DicomError(
                place, f"its header is damaged ({type(error).__name__}). Export the file again, or remove it."
            ) from None
        return DicomImage(dataset, place, len(notes) + damaged)


@contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Keep pydicom's warnings off screen and log, since they can repeat values of the header; yields them to count."""
    logger = logging.getLogger("pydicom")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            yield notes
    finally:
        logger.disabled = disabled


@contextmanager
def placed(image: DicomImage) -> Iterator[None]:
    """Turn a `DicomValueError` of the body into a `DicomError` with the object's place."""
    try:
        yield
    except DicomValueError as problem:
        raise DicomError(image.place, str(problem)) from None
