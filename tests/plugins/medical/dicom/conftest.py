"""A writer of small DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

MakeDicom = Callable[..., Path]


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Write `name` with pixels and attributes; None as a value leaves an attribute out."""

    def write(name: str = "a.dcm", pixels: np.ndarray | None = None, **attributes: Any) -> Path:
        pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) if pixels is None else pixels
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = attributes.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = attributes.get("SOPInstanceUID", generate_uid())
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        frames = attributes.get("NumberOfFrames")
        grey = pixels.ndim == (3 if frames else 2)
        bits = pixels.dtype.itemsize * 8
        stored = attributes.pop("BitsStored", bits)
        defaults = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "Modality": "OT",
            "SamplesPerPixel": 1 if grey else 3,
            "PhotometricInterpretation": "MONOCHROME2" if grey else "RGB",
            "PlanarConfiguration": None if grey else 0,
            "Rows": pixels.shape[1 if frames else 0],
            "Columns": pixels.shape[2 if frames else 1],
            "BitsAllocated": bits,
            "BitsStored": stored,
            "HighBit": stored - 1,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
            "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
        }
        for keyword, value in {**defaults, **attributes}.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def lut_item() -> Callable[..., Dataset]:
    """Build an item of a Modality LUT or VOI LUT sequence."""

    def build(first: int, bits: int, entries: list[int], **attributes: Any) -> Dataset:
        item = Dataset()
        item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
        item.add_new("LUTData", "OW", np.array(entries, dtype="<u2").tobytes())
        for keyword, value in attributes.items():
            setattr(item, keyword, value)
        return item

    return build
