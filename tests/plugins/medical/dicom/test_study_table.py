"""What the study table keeps of headers, and its order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from vlcore.errors import ConfigurationError
from vlcore_medical.dicom.image import open_dicom
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.dicom.study import StudyImage, describe
from vlcore_medical.dicom.study_table import read_study_table, table_rows, write_study_table

UIDS = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.2"}
WHOLE = {"PatientID": "P1", "StudyDate": "20200229", "StudyTime": "101500", **UIDS}


@pytest.fixture
def row(make_dicom):
    """Describe a file of these attributes."""

    def build(**attributes: Any) -> StudyImage:
        path = make_dicom(f"{len(attributes)}.dcm", **{**WHOLE, **attributes})
        return describe(open_dicom(path, pixels=False), repr(sorted(attributes.items())), Pseudonyms(b"salt"))

    return build


def coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning = meaning
    return item


def test_identifiers_become_pseudonyms_and_coded_values_stay(row) -> None:
    image = row(Modality="CR", ViewPosition="PA", BodyPartExamined="CHEST", BurnedInAnnotation="NO")
    names = Pseudonyms(b"salt")
    assert (image.study, image.series) == (names.of("study", "1.2.1"), names.of("series", "1.2.2"))
    assert image.patient == names.of("patient", "\0P1")
    assert (image.modality, image.view, image.body_part) == ("CR", "PA", "CHEST")
    assert (image.rows, image.columns, image.frames, image.burned_in) == (3, 4, 1, False)
    assert (image.photometric, image.transfer_syntax) == ("MONOCHROME2", "Explicit VR Little Endian")
    assert image.warnings == []


def test_one_number_of_two_hospitals_is_two_patients(row) -> None:
    assert row(IssuerOfPatientID="A").patient != row(IssuerOfPatientID="B").patient


@pytest.mark.parametrize(
    ("attributes", "laterality", "warnings"),
    [
        ({"Laterality": "L", "ImageLaterality": "L"}, "L", []),
        ({"ImageLaterality": "R"}, "R", []),
        ({"Laterality": "L", "ImageLaterality": "R"}, "", ["laterality_conflict"]),
        ({"Laterality": "LEFT KNEE"}, "", ["code_refused"]),
        ({}, "", []),
    ],
)
def test_sides_that_contradict_each_other_are_no_side(row, attributes: dict, laterality: str, warnings: list) -> None:
    image = row(**attributes)
    assert (image.laterality, image.warnings) == (laterality, warnings)


@pytest.mark.parametrize(
    ("attributes", "view", "warnings"),
    [
        ({"ViewCodeSequence": [coded("antero-posterior")]}, "AP", []),
        ({"ViewPosition": "LATERAL", "ViewCodeSequence": [coded("left lateral")]}, "LATERAL", []),
        ({"ViewPosition": "PA", "ViewCodeSequence": [coded("Antero-Posterior")]}, "", ["view_conflict"]),
        ({"ViewPosition": "Mr. Smith, AP"}, "", ["code_refused"]),
    ],
)
def test_views_from_position_and_code(row, attributes: dict, view: str, warnings: list) -> None:
    image = row(**attributes)
    assert (image.view, [warning for warning in image.warnings if warning != "header_out_of_standard"]) == (
        view,
        warnings,
    )


def test_what_is_doubtful_is_counted(row) -> None:
    image = row(
        PatientID=None,
        StudyInstanceUID=None,
        StudyDate="soon",
        PresentationLUTShape="INVERSE",
        BurnedInAnnotation="YES",
        RecognizableVisualFeatures="YES",
    )
    assert set(image.warnings) - {"header_out_of_standard"} == {
        "no_patient_id",
        "no_study_uid",
        "no_date",
        "polarity_conflict",
        "burned_in_annotation",
        "recognizable_visual_features",
    }
    assert image.patient == image.study


def test_rows_are_in_order_of_time_with_days_and_no_dates(row) -> None:
    def study(uid: str, date: str | None, time: str = "", **attributes: Any) -> StudyImage:
        return row(StudyInstanceUID=uid, StudyDate=date, StudyTime=time, SOPInstanceUID=f"{uid}.9", **attributes)

    images = [
        study("1.2.4", "20200301", "0900"),
        study("1.2.5", "2020.02.29", "1015"),
        study("1.2.3", "20200301", "080000.5", InstanceNumber=2),
        study("1.2.3", "20200301", "080000.5", InstanceNumber=1),
        study("1.2.6", None),
        study("1.2.7", "20200301", PatientID="P2"),
    ]
    rows = [line for line in table_rows(images) if line["patient"] == images[0].patient]
    assert [(line["study_order"], line["day"]) for line in rows] == [(0, 0), (1, 1), (1, 1), (2, 1), (None, None)]
    assert [line["id"] for line in rows] == [images[index].id for index in (1, 3, 2, 0, 4)]
    assert rows[1]["warnings"] == ["shared_instance_uid"]
    assert not {"moment", "series_number", "instance_number"} & set(rows[0])


def test_the_table_comes_back(row, tmp_path: Path) -> None:
    rows = table_rows([row()])
    write_study_table(tmp_path / "studies.parquet", rows)
    assert read_study_table(tmp_path) == read_study_table(tmp_path / "studies.parquet") == rows


def test_another_table_is_told(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(ConfigurationError, match="Make the study table first: vlcore medical ingest"):
        read_study_table(tmp_path)
    (tmp_path / "studies.parquet").write_text("no table")
    with pytest.raises(ConfigurationError, match="is no Parquet file"):
        read_study_table(tmp_path)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "studies.parquet")
    with pytest.raises(ConfigurationError, match="lacks the columns preview, patient"):
        read_study_table(tmp_path)
