"""One image as a person sees it, whether it is a DICOM file or a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.retrieval.images import as_pixels
from vlcore_medical.dicom.voi import WindowChoice

_MAGIC = b"DICM"
_PREAMBLE = 128


def read_picture(path: Path, frame: int = 0, window: WindowChoice = 0) -> NDArray[np.uint8]:
    """Read an image; nothing of a DICOM file but its pixels is used, and nothing is written.

    Args:
        path: DICOM file, by its contents and not its name, or a picture.
        frame: of a DICOM file with several, from 0.
        window: of a DICOM file, as of `render`.

    Returns:
        `[H, W, 3]` RGB.

    Raises:
        DicomError: if a DICOM file is damaged or cannot be shown.
        ImageDecodeError: if a picture is missing or damaged.
    """
    if not _is_dicom(path):
        return as_pixels(path, str(path))
    from vlcore_medical.dicom.image import open_dicom
    from vlcore_medical.dicom.render import render

    picture = render(open_dicom(path), frame, window)
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
