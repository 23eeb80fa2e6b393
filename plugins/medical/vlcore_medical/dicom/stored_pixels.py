"""Stored pixel values of frames, decoded by pydicom and its plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from vlcore.errors import MissingDependencyError
from vlcore_medical.dicom.attributes import number
from vlcore_medical.dicom.image import DicomImage, DicomValueError, quiet

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def frame_count(dataset: Dataset) -> int:
    """Number of frames, 1 where the header does not say.

    Raises:
        DicomValueError: if what it says is no number.
    """
    return max(1, int(number(dataset, "NumberOfFrames", 1)))


def stored_frames(image: DicomImage, frames: Iterable[int]) -> Iterator[tuple[NDArray[Any], str]]:
    """Decode frames one by one.

    Args:
        image: with its pixel data.
        frames: from 0, any order.

    Yields:
        Stored values `[H, W]` or `[H, W, 3]`, and their photometric interpretation: YBR comes as RGB.

    Raises:
        DicomValueError: if there is no such frame, no pixel data, or they cannot be decoded.
        MissingDependencyError: if their transfer syntax needs a library that is not installed.
    """
    dataset, count = image.dataset, frame_count(image.dataset)
    if not any(keyword in dataset for keyword in PIXELS):
        raise DicomValueError("holds no pixel data. Only images can be rendered; leave reports and plans out.")
    frames = list(frames)
    if wrong := [frame for frame in frames if not 0 <= frame < count]:
        raise DicomValueError(f"has no frame {wrong[0]}. Its frames are 0 to {count - 1}.")
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID") or "")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DicomValueError(
            f"its transfer syntax {syntax.name or 'none'!r} cannot be decoded. Convert the file to Explicit VR Little "
            f"Endian."
        ) from None
    if not decoder.is_available:
        raise MissingDependencyError(_library(syntax), "medical", f"{image.place} ({syntax.name})")
    decoded = decoder.iter_array(dataset, indices=frames, raw=False)
    for _ in frames:
        with quiet():
            try:
                pixels, facts = next(decoded)
            except Exception as error:  # decoders raise whatever they like
                reason = " ".join(str(error).split())
                raise DicomValueError(
                    f"its pixel data cannot be decoded ({syntax.name}): {reason:.300}. Export the file again."
                ) from None
        yield pixels, str(facts["photometric_interpretation"])


def _library(syntax: UID) -> str:
    if syntax in JPEGLSTransferSyntaxes:
        return "pyjpegls"
    if syntax in JPEGTransferSyntaxes:
        return "python-gdcm"
    return "pylibjpeg-openjpeg" if syntax in JPEG2000TransferSyntaxes else "pylibjpeg"
