"""What is wrong with a file is said with its place, the value and the mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlcore.errors import MissingDependencyError
from vlcore_medical.dicom.image import DicomError, open_dicom
from vlcore_medical.dicom.render import render


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PixelData": None}, "holds no pixel data. Only images can be rendered"),
        ({"PixelData": b"\0\1"}, "its pixel data cannot be decoded (Explicit VR Little Endian)"),
        ({"WindowCenter": [1, 2], "WindowWidth": 3}, "WindowCenter holds 2 numbers and WindowWidth 1"),
        ({"WindowCenter": 1, "WindowWidth": 0}, "the window width is 0. It must be at least 1 for LINEAR"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "VOILUTFunction is 'CUBIC'"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "RescaleSlope is 0, which makes all values equal"),
        ({"PhotometricInterpretation": "CMYK"}, "PhotometricInterpretation is 'CMYK' with pixels of shape (3, 4)"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "is PALETTE COLOR without a palette"),
        ({"Rows": None}, "its pixel data cannot be decoded"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(make_dicom, attributes: dict, message: str) -> None:
    path = make_dicom(**attributes)
    with pytest.raises(DicomError, match=re.escape(f"{path}: {message}")):
        render(open_dicom(path))


def test_tables_that_contradict_their_descriptor_are_told(make_dicom, lut_item) -> None:
    short, odd = lut_item(0, 16, [1, 2, 3]), lut_item(0, 16, [1, 2, 3])
    short.LUTDescriptor, odd.LUTDescriptor = [9, 0, 16], [3, 0, 24]
    with pytest.raises(DicomError, match="LUTData holds 3 entries, its descriptor says 9"):
        render(open_dicom(make_dicom(VOILUTSequence=[short])))
    with pytest.raises(DicomError, match=r"LUTDescriptor is \[3, 0, 24\]"):
        render(open_dicom(make_dicom(ModalityLUTSequence=[odd])))


def test_a_sequence_that_is_none_is_told(make_dicom, lut_item) -> None:
    image = open_dicom(make_dicom(VOILUTSequence=[]))
    assert render(image).any()
    image.dataset.add_new("VOILUTSequence", "LO", "words")
    with pytest.raises(DicomError, match="VOILUTSequence is no sequence of items"):
        render(image)
    empty = lut_item(0, 16, [1, 2, 3])
    del empty.LUTData
    with pytest.raises(DicomError, match="LUTData holds 0 entries, its descriptor says 3"):
        render(open_dicom(make_dicom(VOILUTSequence=[empty])))


def test_other_files_are_told(tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("no picture")
    with pytest.raises(DicomError, match="is not a DICOM file: 'DICM' does not follow"):
        open_dicom(text)
    with pytest.raises(DicomError, match="does not exist"):
        open_dicom(tmp_path / "gone.dcm")


def test_a_missing_decoder_is_named(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import base

    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    for name, library in {"HTJ2K_08_RGB": "pylibjpeg-openjpeg", "JPEG-LL": "python-gdcm"}.items():
        with pytest.raises(
            MissingDependencyError, match=f"{name}.dcm .* needs the library '{library}'.*vlcore\\[medical\\]"
        ):
            render(open_dicom(data_root / "medical" / "dicom" / f"{name}.dcm"))


def test_a_video_cannot_be_decoded(make_dicom) -> None:
    path = make_dicom()
    image = open_dicom(path)
    image.dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    with pytest.raises(DicomError, match=r"MPEG-4 AVC/H.264 High Profile / Level 4.1' cannot be decoded"):
        render(image)


def test_words_where_numbers_must_be_are_told_where_they_are_needed(make_dicom) -> None:
    path = make_dicom(WindowCenter="40.5", WindowWidth="400")
    path.write_bytes(path.read_bytes().replace(b"DS\x04\x0040.5", b"DS\x04\x00wide"))
    with pytest.raises(DicomError, match="WindowCenter is 'wide'"):
        render(open_dicom(path))
