"""The reader of what `vlcore medical ingest` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from vlcore_medical.dicom.ingest import ingest_collection
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.readers.dicom_folder import read_dicom_folder


def tree(folder: Path) -> Path:
    """Two images of two patients, ingested under one salt."""
    (folder / "dicom").mkdir()
    for number in (1, 2):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        dataset = FileDataset(folder / "dicom" / f"{number}.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.{number}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.3.{number}", f"1.4.{number}"
        dataset.PatientID, dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = f"p{number}", "YES", "test"
        dataset.Modality, dataset.BodyPartExamined = "CT", "CHEST"
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = 4, 6
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.PixelData = (np.arange(24, dtype=np.uint16) * number).tobytes()
        dataset.save_as(folder / "dicom" / f"{number}.dcm", enforce_file_format=True)
    ingest_collection(folder / "dicom", folder / "studies", Pseudonyms(b"salt of a test" * 3))
    return folder / "studies"


def test_previews_are_grouped_by_patient(tmp_path: Path) -> None:
    first, second = read_dicom_folder(tree(tmp_path))
    assert first.group != second.group
    assert first.labels == {"modality": "CT", "body_part": "CHEST"}
    assert (first.meta["rows"], first.meta["columns"]) == (4, 6)
    assert "p1" not in repr(first)
