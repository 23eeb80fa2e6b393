"""Which files of a collection may be taken: those whose header says that they are de-identified."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vlcore.errors import Problem
from vlcore_medical.dicom.collection import Collection
from vlcore_medical.dicom.image import DicomError, open_dicom, quiet
from vlcore_medical.dicom.privacy import is_marked

SUFFIXES = (".dcm", ".dicom")
"""Files of another content are no DICOM files and left out, unless their name says that they should be."""

UNREADABLE = (DicomError, OSError, EOFError, zipfile.BadZipFile, zlib.error)

_UNMARKED = (
    "does not say that it is de-identified (PatientIdentityRemoved, DeidentificationMethodCodeSequence). De-identify "
    "it, or choose on_unmarked='skip' (left out, counted) or 'accept' (taken: you answer for it)."
)


@dataclass
class SortedFiles:
    """Files of a collection by what their headers say.

    Attributes:
        marked: names of images that say they are de-identified.
        unmarked: images that do not.
        bad: DICOM files whose header cannot be read.
        other: number of files that are not DICOM.
        without_pixels: number of DICOM objects that are no images.
    """

    marked: list[str] = field(default_factory=list)
    unmarked: list[Problem] = field(default_factory=list)
    bad: list[Problem] = field(default_factory=list)
    other: int = 0
    without_pixels: int = 0


def sort_by_mark(collection: Collection, advance: Callable[[int], None]) -> SortedFiles:
    """Read every header, and no pixels.

    Args:
        collection: folder or archive.
        advance: told about each file.
    """
    files = SortedFiles()
    for name in collection.names:
        advance(1)
        try:
            with collection.open(name) as handle:
                if handle.read(132)[128:] != b"DICM" and Path(name).suffix.lower() not in SUFFIXES:
                    files.other += 1
                    continue
                handle.seek(0)
                dataset = open_dicom(handle, name, pixels=False).dataset
        except UNREADABLE as error:
            files.bad.append(unreadable(name, error))
            continue
        with quiet():
            if "Rows" not in dataset:
                files.without_pixels += 1
            elif is_marked(dataset):
                files.marked.append(name)
            else:
                files.unmarked.append(Problem(name, _UNMARKED))
    return files


def unreadable(name: str, error: Exception) -> Problem:
    """What is wrong with a file that cannot be read."""
    reason = error.reason if isinstance(error, DicomError) else f"cannot be read: {error}."
    return Problem(name, f"{reason} Or choose on_bad_file='skip' (left out, counted).")
