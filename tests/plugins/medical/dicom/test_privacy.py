"""The marks of de-identification, and that nothing of a person gets into any output."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataset import Dataset

from vlcore.cli.main import main
from vlcore_medical.dicom.image import open_dicom
from vlcore_medical.dicom.privacy import KINDS, is_marked
from vlcore_medical.dicom.privacy_report import PrivacyReport
from vlcore_medical.dicom.study_table import read_study_table
from vlcore_medical.readers.dicom_folder import read_dicom_folder

MARKERS = {
    "PN": "MARKERSON^ZYTHIA",
    "LO": "MARKERSON LO 4711",
    "SH": "MARKERSON SH",
    "LT": "MARKERSON LT",
    "ST": "MARKERSON ST",
    "UC": "MARKERSON UC",
    "UT": "MARKERSON UT",
    "DA": "19610317",
    "DT": "19610317131719",
    "TM": "131719.717",
    "AS": "077Y",
    "UI": "1.2.826.0.1.7171717.1",
    "AE": "MARKERSONAE",
    "UR": "http://markerson.example/1",
    "CS": "MARKERSON_CS",
}
FOUND_BY = (
    "markerson",
    "zythia",
    "19610317",
    "131719",
    "077y",
    "7171717",
    "marker17",
    "marker7",
    "1961-03-17",
    "-1961",
)
FUNCTIONAL = {
    "PhotometricInterpretation",
    "SpecificCharacterSet",
    "VOILUTFunction",
    "PresentationLUTShape",
    "PixelPresentation",
    # Coded values that the table keeps as they are.
    "Modality",
    "ViewPosition",
    "BodyPartExamined",
}


def code(value: str, scheme: str = "DCM") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


@pytest.mark.parametrize(
    ("attributes", "marked"),
    [
        ({}, False),
        ({"PatientIdentityRemoved": "YES"}, True),
        ({"PatientIdentityRemoved": "NO", "DeidentificationMethodCodeSequence": [code("113100")]}, False),
        ({"DeidentificationMethodCodeSequence": [code("113100"), code("113107")]}, True),
        ({"DeidentificationMethodCodeSequence": [code("113100", "99HOME")]}, False),
        ({"DeidentificationMethodCodeSequence": [code("121049")]}, False),
        ({"DeidentificationMethod": "we looked"}, False),
    ],
)
def test_which_marks_open_the_gate(make_dicom, attributes: dict[str, Any], marked: bool) -> None:
    assert is_marked(open_dicom(make_dicom(**attributes)).dataset) is marked


def full_of_identity() -> dict[str, Any]:
    """A marker in every attribute of the standard's dictionary that can hold text, a date or an identifier."""
    attributes = {
        keyword: MARKERS[vr]
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if vr in MARKERS and keyword and tag >> 16 > 6 and keyword not in FUNCTIONAL
    }
    nested = Dataset()
    nested.PatientName, nested.PatientID = MARKERS["PN"], MARKERS["LO"]
    return {**attributes, "OtherPatientIDsSequence": [nested], "PatientIdentityRemoved": None}


def artefacts(folder: Path) -> str:
    """Everything that the output says, in lower case: names, bytes, table, metadata of pictures."""
    said = [read_study_table(folder), [repr(record) for record in read_dicom_folder(folder)]]
    for file in folder.rglob("*"):
        said.append(file.relative_to(folder).as_posix())
        if file.is_file():
            said.append(file.read_bytes().decode("latin-1"))
        if file.suffix == ".png":
            with Image.open(file) as picture:
                said.append(picture.info)
    return repr(said).replace(str(folder), "").lower()


def test_nothing_of_a_person_is_in_any_artefact(
    make_dicom, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    attributes = full_of_identity()
    assert len(attributes) > 1800
    path = make_dicom("in/a.dcm", **attributes)
    dataset = open_dicom(path).dataset
    dataset.file_meta.SourceApplicationEntityTitle = MARKERS["AE"]
    dataset.file_meta.ImplementationVersionName = MARKERS["SH"]
    dataset.private_block(0x0009, "MARKERSON PRIVATE", create=True).add_new(1, "LO", MARKERS["LO"])
    dataset.save_as(tmp_path / "in" / "MARKERSON_ZYTHIA.dcm")
    path.unlink()
    # Values out of the standard are what pydicom warns of, with the value in its words.
    path = tmp_path / "in" / "MARKERSON_ZYTHIA.dcm"
    wrong = path.read_bytes().replace(b"DA\x08\x0019610317", b"DA\x08\x00MARKER17", 9)
    path.write_bytes(wrong.replace(b"UI\x16\x001.2.826", b"UI\x16\x00MARKER7"))
    output = tmp_path / "out"
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        assert main(["medical", "ingest", str(tmp_path / "in"), "-o", str(output), "--on-unmarked", "accept"]) == 0
    out, err = capfd.readouterr()
    everything = artefacts(output) + (out + err + caplog.text).lower()
    assert [marker for marker in FOUND_BY if marker in everything] == []
    report = json.loads((output / "privacy.json").read_text())
    assert report["attributes"]["names"]["PatientName"] == 1
    assert report["attributes"]["private"] == {"private attributes": 1}
    reported = {name for names in report["attributes"].values() for name in names}
    telling = {
        keyword
        for keyword in attributes
        if not keyword.startswith("Deidentification") and dictionary_VR(keyword) in KINDS
    }
    assert telling <= reported
    assert len(telling) > 900
    # The markers would have been found: they are in the source.
    source = path.read_bytes().decode("latin-1").lower()
    assert all(marker in source for marker in ("markerson", "marker17", "marker7", "19610317"))


def test_the_report_counts_files_and_names_attributes(make_dicom) -> None:
    report = PrivacyReport(left_out=2)
    marked = {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "profile"}
    report.add(open_dicom(make_dicom(**marked, PatientName="A^B", PatientID="", BurnedInAnnotation="YES")).dataset)
    report.add(open_dicom(make_dicom(PatientName="C^D", RecognizableVisualFeatures="YES")).dataset)
    values = report.values()
    assert (values["marked"], values["accepted"], values["left_out"]) == (1, 1, 2)
    assert values["burned_in"] == {"not said": 1, "yes": 1}
    assert values["attributes"]["names"] == {"PatientName": 2}
    assert "PatientID" not in report.text()
    assert "DeidentificationMethod" not in report.text()
    assert set(values["attributes"]) <= set(KINDS.values())
    assert values["attributes"]["unique identifiers"] == {"SOPInstanceUID": 2}
    assert report.warnings() == [
        "1 files say that there is writing in their pixels: look at their previews.",
        "1 files do not say whether there is writing in their pixels: look at samples.",
        "1 files say that a person can be recognised in their pixels.",
    ]
    assert "  PatientName: 2\n" in report.text()


def test_classes_of_the_standard_are_no_instances_and_damaged_elements_are_unknown(make_dicom, tmp_path: Path) -> None:
    classes = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"]
    path = make_dicom(
        RelatedGeneralSOPClassUID=classes, FailedSOPInstanceUIDList=["1.2.3", "1.2.4"], AcquisitionNumber="1234"
    )
    path.write_bytes(path.read_bytes().replace(b"IS\x04\x001234", b"FD\x04\x001234"))  # a double of half its bytes
    image = open_dicom(path)
    report = PrivacyReport()
    report.add(image.dataset)
    assert image.notes == 1
    assert report.attributes["unknown"] == {"AcquisitionNumber": 1}
    assert report.attributes["unique identifiers"] == {"SOPInstanceUID": 1, "FailedSOPInstanceUIDList": 1}
