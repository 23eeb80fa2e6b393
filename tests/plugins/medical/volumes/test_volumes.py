"""Volumes: a point in the patient is found at its voxel, whatever the slices are called or numbered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from vlcore.errors import ConfigurationError, MissingDependencyError
from vlcore_medical.dicom.image import DicomError
from vlcore_medical.volumes.read import read_volume

AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]
OBLIQUE = [0.8, 0.6, 0, -0.48, 0.64, 0.6]


@pytest.fixture
def write_series(tmp_path: Path) -> Callable[..., Path]:
    """Write slices whose stored values are 1000 + their own place times 100 + row times 10 + column."""

    def write(cosines: list[float] = AXIAL, count: int = 4, uid: str = "1.2.3", **changes: dict[int, Any]) -> Path:
        normal = np.cross(cosines[:3], cosines[3:])
        for place in range(count):
            meta = FileMetaDataset()
            meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
            meta.MediaStorageSOPInstanceUID = f"{uid}.{place + 1}"
            path = tmp_path / "series" / f"{uid}-{count - place}.dcm"
            path.parent.mkdir(exist_ok=True)
            dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
            pixels = (1000 + place * 100 + np.arange(3)[:, None] * 10 + np.arange(5)).astype(np.uint16)
            attributes = {
                "SOPInstanceUID": f"{uid}.{place + 1}",
                "SeriesInstanceUID": uid,
                "PatientName": "MARKERSON^ZYTHIA",
                "Modality": "CT",
                "InstanceNumber": (place * 7) % count,
                "ImageOrientationPatient": list(cosines),
                "ImagePositionPatient": [round(float(x), 6) for x in np.array([10, 20, 30]) + 2.5 * place * normal],
                "PixelSpacing": [0.5, 0.75],
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "Rows": 3,
                "Columns": 5,
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 0,
                "RescaleSlope": 1,
                "RescaleIntercept": -1000,
                "PixelData": pixels.tobytes(),
            }
            attributes.update({keyword: values[place] for keyword, values in changes.items() if place in values})
            for keyword, value in attributes.items():
                if value is not None:
                    setattr(dataset, keyword, value)
            if attributes["PixelData"] is not None:
                dataset.save_as(path, enforce_file_format=True)
        return tmp_path / "series"

    return write


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, OBLIQUE])
def test_every_voxel_is_where_the_standard_puts_it(write_series, cosines: list[float]) -> None:
    volume = read_volume(write_series(cosines))
    assert (volume.shape, volume.meta["unit"]) == ((1, 5, 3, 4), "HU")
    affine = volume.affine.numpy()
    rows, columns = np.array(cosines[:3]), np.array(cosines[3:])
    for x, y, z in np.ndindex(5, 3, 4):
        assert volume[0, x, y, z] == z * 100 + y * 10 + x
        # PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1, in LPS
        point = np.array([10, 20, 30]) + z * 2.5 * np.cross(rows, columns) + rows * 0.75 * x + columns * 0.5 * y
        assert np.allclose((affine @ [x, y, z, 1])[:3] * [-1, -1, 1], point, atol=1e-4)
    assert np.allclose(volume.pixdim, [0.75, 0.5, 2.5])


def test_an_axial_series_is_as_monai_reads_it_by_itself(write_series) -> None:
    from monai.transforms import LoadImage

    folder = write_series(InstanceNumber={place: place + 1 for place in range(4)})
    theirs, ours = LoadImage("PydicomReader", image_only=True)(folder), read_volume(folder)
    assert np.array_equal(theirs.numpy(), ours[0].numpy())
    assert np.allclose(theirs.affine, ours.affine)


def test_nothing_of_a_person_is_in_the_volume(write_series) -> None:
    assert "markerson" not in repr(read_volume(write_series()).meta).lower()


def test_padding_becomes_the_lowest_value(write_series) -> None:
    volume = read_volume(write_series(PixelPaddingValue=dict.fromkeys(range(4), 1324)))
    assert (volume[0, 4, 2, 3], volume.max()) == (0, 323)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PixelData": {2: None}}, "A slice is missing, doubled or of another series"),
        ({"ImagePositionPatient": {2: [10, 20, 32.5]}}, "A slice is missing, doubled or of another series"),
        ({"ImagePositionPatient": {1: None}}, "ImagePositionPatient holds 0 numbers. It must hold 3"),
        ({"PixelSpacing": {1: [0.5, 0.5]}}, r"PixelSpacing is \[0.5, 0.5\], and \[0.5, 0.75\] in 1.2.3-"),
        ({"ImageOrientationPatient": {place: [1, 0, 0, 1, 0, 0] for place in range(4)}}, "two directions of length 1"),
        ({"PixelSpacing": dict.fromkeys(range(4))}, "They must be 6 direction cosines and 2 distances"),
        ({"NumberOfFrames": {1: 2}}, "holds several frames"),
        ({"RescaleType": {1: "OD"}}, "has values in 'HU' and 'OD' within one series"),
    ],
)
def test_slices_that_make_no_even_stack_are_told(write_series, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DicomError, match=message):
        read_volume(write_series(**changes))


def test_one_of_several_series_is_chosen(write_series, tmp_path: Path) -> None:
    write_series()
    folder = write_series(SAGITTAL, count=2, uid="1.2.9")
    (folder / "note.txt").write_text("hello")
    with pytest.raises(ConfigurationError, match="holds 2 series, of 4, 2 images"):
        read_volume(folder)
    assert read_volume(folder, series="1.2.9").shape == (1, 5, 3, 2)
    with pytest.raises(ConfigurationError, match="holds no image of that series"):
        read_volume(folder, series="1.2.4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no image"):
        read_volume(tmp_path / "empty")


def test_a_nifti_file_keeps_spacing_and_orientation(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = np.array([[0, -0.5, 0, 7], [1.5, 0, 0, -8], [0, 0, 3, 9], [0, 0, 0, 1]])
    path = tmp_path / "a.nii.gz"
    nibabel.Nifti1Image(values, affine).to_filename(path)
    volume = read_volume(path)
    assert np.array_equal(volume[0].numpy(), values)
    assert np.allclose(volume.affine, affine)
    assert np.allclose(volume.pixdim, [1.5, 0.5, 3])
    assert nibabel.aff2axcodes(volume.affine.numpy()) == ("A", "L", "S")
    assert volume.meta["unit"] == ""


def test_nifti_files_that_are_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_volume(path)
    path.write_text("no volume")
    with pytest.raises(ConfigurationError, match="is no whole NIfTI file"):
        read_volume(path)
    nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), dtype=np.int16), np.eye(4)).to_filename(path)
    with pytest.raises(ConfigurationError, match=r"has the shape \(2, 2, 2, 3\)"):
        read_volume(path)
    nibabel.Nifti1Image(np.zeros((20, 20, 20), dtype=np.int16), np.eye(4)).to_filename(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ConfigurationError, match="is no whole NIfTI file"):
        read_volume(path)


def test_a_missing_monai_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.data.meta_tensor", None)
    with pytest.raises(MissingDependencyError, match=r"Reading volumes needs the library 'monai'.*vlcore\[medical\]"):
        read_volume(tmp_path / "a.nii")
