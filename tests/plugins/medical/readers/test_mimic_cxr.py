"""The reader of MIMIC-CXR and MIMIC-CXR-JPG, on small trees in their layouts."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.mimic_cxr import read_mimic_cxr

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 FINDINGS:  Clear lungs.  No ___ of
 pneumothorax.
"""
FIRST, SECOND = "10000032", "10000764"
IMAGES = [
    # patient, study, dicom, split, view, date, time: study 50000003 is the first of its patient, 50000001 the last
    (FIRST, "50000001", "d1", "train", "PA", "21800606", "213014.531"),
    (FIRST, "50000001", "d2", "train", "LATERAL", "21800606", "213050.0"),
    (FIRST, "50000002", "d3", "train", "AP", "21800606", "93014.0"),
    (FIRST, "50000003", "d4", "train", "", "21800101", "120000.0"),
    (SECOND, "50000004", "d5", "validate", "AP", "21800101", "120000.0"),
    (SECOND, "50000005", "d6", "validate", "AP", "21800101", "120000.0"),
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table, packed where its name says so."""
    out = io.StringIO()
    table = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)))
    table.writeheader()
    table.writerows(rows)
    data = out.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def tree(folder: Path, suffix: str = ".jpg", packed: str = ".gz") -> Path:
    """Write a release; study 50000005 has an empty report."""
    splits, metadata = [], []
    for patient, study, dicom, split, view, date, time in IMAGES:
        home = folder / "files" / f"p{patient[:2]}" / f"p{patient}"
        (home / f"s{study}").mkdir(parents=True, exist_ok=True)
        (home / f"s{study}" / f"{dicom}{suffix}").write_bytes(b"pixels")
        (home / f"s{study}.txt").write_text(" \n" if study == "50000005" else REPORT)
        ids = {"dicom_id": dicom, "subject_id": patient, "study_id": study}
        splits.append({**ids, "split": split})
        metadata.append({**ids, "ViewPosition": view, "StudyDate": date, "StudyTime": time})
    write(folder / f"mimic-cxr-2.0.0-split.csv{packed}", splits)
    write(folder / f"mimic-cxr-2.0.0-metadata.csv{packed}", metadata)
    for labeller, edema in (("chexpert", "-1.0"), ("negbio", "1.0")):
        labels = {"subject_id": FIRST, "study_id": "50000001", "Edema": edema, "Fracture": "0.0", "Pneumonia": ""}
        write(folder / f"mimic-cxr-2.0.0-{labeller}.csv{packed}", [labels])
    return folder


def by_id(records: list[Record]) -> dict[str, Record]:
    return {record.id: record for record in records}


@pytest.mark.parametrize("packed", [".gz", ""])
@pytest.mark.parametrize("suffix", [".jpg", ".dcm"])
def test_images_have_the_report_of_their_study(tmp_path: Path, suffix: str, packed: str) -> None:
    with pytest.warns(UserWarning, match=r"1 of 6 images without a report"):
        records = by_id(read_mimic_cxr(tree(tmp_path, suffix, packed)))
    first = records["d1"]
    assert first.image.path == tmp_path / "files" / "p10" / "p10000032" / "s50000001" / f"d1{suffix}"
    assert (first.group, first.split, records["d5"].split) == (FIRST, "train", "val")
    assert [(text.text, text.kind) for text in first.texts] == [(REPORT, "report")]
    assert first.texts == records["d2"].texts
    assert records["d6"].texts == ()


def test_views_of_a_study(tmp_path: Path) -> None:
    records = by_id(read_mimic_cxr(tree(tmp_path)))
    assert (records["d1"].meta["view"], records["d2"].meta["view"]) == ("PA", "LATERAL")
    assert records["d1"].meta["views"] == ["files/p10/p10000032/s50000001/d2.jpg"]
    assert (tmp_path / records["d1"].meta["views"][0]).is_file()
    assert "view" not in records["d4"].meta and "views" not in records["d3"].meta


def test_the_prior_study_is_by_time_not_by_number(tmp_path: Path) -> None:
    records = by_id(read_mimic_cxr(tree(tmp_path)))
    # 93014.0 is half past nine: as text it would be after 213014.531.
    assert records["d1"].meta["prior_study"] == records["d2"].meta["prior_study"] == "50000002"
    assert records["d1"].meta["prior_images"] == ["files/p10/p10000032/s50000002/d3.jpg"]
    assert records["d3"].meta["prior_study"] == "50000003"
    assert "prior_study" not in records["d4"].meta


def test_of_two_studies_at_the_same_time_neither_is_prior(tmp_path: Path) -> None:
    records = by_id(read_mimic_cxr(tree(tmp_path)))
    assert not any("prior_study" in records[name].meta for name in ("d5", "d6"))


def test_labels_keep_uncertain_apart_from_absent_and_not_mentioned(tmp_path: Path) -> None:
    path = tree(tmp_path)
    assert by_id(read_mimic_cxr(path))["d2"].labels == {"Edema": -1, "Fracture": 0}
    assert by_id(read_mimic_cxr(path, labeller="negbio"))["d2"].labels == {"Edema": 1, "Fracture": 0}
    assert by_id(read_mimic_cxr(path))["d3"].labels == {}


def test_sections_of_the_official_parser(tmp_path: Path) -> None:
    path = tree(tmp_path)
    sections = {"study": "s50000001", "impression": "Fine.", "findings": "Clear\nlungs.", "last_paragraph": ""}
    write(path / "mimic_cxr_sectioned.csv", [sections])
    records = by_id(read_mimic_cxr(path))
    assert [(text.kind, text.text) for text in records["d1"].texts[1:]] == [
        ("findings", "Clear\nlungs."),
        ("impression", "Fine."),
    ]
    assert len(records["d3"].texts) == 1


def test_the_release_without_splits_and_reports_elsewhere(tmp_path: Path) -> None:
    path = tree(tmp_path, ".dcm")
    (path / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    rows = [{"subject_id": one[0], "study_id": one[1], "dicom_id": one[2], "path": "files"} for one in IMAGES]
    write(path / "cxr-record-list.csv.gz", rows)
    with pytest.warns(UserWarning, match=r"6 of 6 images without a report in .*elsewhere"):
        records = read_mimic_cxr(path, report_root=tmp_path / "elsewhere")
    assert {record.split for record in records} == {None}
    assert len(records) == 6


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = tree(tmp_path)
    good = {"dicom_id": "d1", "study_id": "50000001", "subject_id": FIRST, "split": "train"}
    rows = [
        good,
        {**good, "dicom_id": "gone"},
        {**good, "subject_id": "../10000"},
        {**good, "dicom_id": ""},
        {**good, "dicom_id": "../../d9"},
        good,
    ]
    write(path / "mimic-cxr-2.0.0-split.csv.gz", rows)
    with pytest.raises(ManifestError) as caught:
        read_mimic_cxr(path)
    for part in (
        "line 3: the image 'files/p10/p10000032/s50000001/gone.jpg' or 'files/p10/p10000032/s50000001/gone.dcm' is not",
        "line 4: subject '../10000' and study '50000001' must be numbers of eight digits.",
        "line 5: 'dicom_id' is missing. It must be text.",
        "line 6: The path 'files/p10/p10000032/s50000001/../../d9.jpg' leads out of",
        "line 7: the id 'd1' is also on line 2",
    ):
        assert part in str(caught.value)
    assert len(caught.value.problems) == 5


def test_bad_tables_are_named(tmp_path: Path) -> None:
    path = tree(tmp_path)
    labels = {"study_id": "50000001", "Edema": "2"}
    write(path / "mimic-cxr-2.0.0-chexpert.csv.gz", [labels])
    with pytest.raises(ManifestError, match=r"line 2: 'Edema' is '2'. It must be 1, 0, -1 or empty"):
        read_mimic_cxr(path)
    write(path / "mimic-cxr-2.0.0-chexpert.csv.gz", [labels, {**labels, "Edema": "0"}, {"study_id": ""}])
    with pytest.raises(
        ManifestError, match=r"line 3: 'study_id' is '50000001'. It must be there, and with one row only"
    ):
        read_mimic_cxr(path)
    (path / "mimic-cxr-2.0.0-chexpert.csv.gz").unlink()
    split = path / "mimic-cxr-2.0.0-split.csv.gz"
    split.write_bytes(gzip.compress(b"dicom_id,split\nd1,train\n"))
    with pytest.raises(ManifestError, match=r"line 1: the columns \['subject_id', 'study_id'\] are missing"):
        read_mimic_cxr(path)
    split.write_bytes(gzip.compress(b"dicom_id,study_id,subject_id\nd1,2\n"))
    with pytest.raises(ManifestError, match="line 2: has 2 cells where the header has 3"):
        read_mimic_cxr(path)
    split.write_bytes(b"no gzip")
    with pytest.raises(ManifestError, match="is no CSV in UTF-8"):
        read_mimic_cxr(path)


def test_another_folder_and_option_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds neither mimic-cxr"):
        read_mimic_cxr(tmp_path)
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_mimic_cxr(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"labeller='me': choose one of chexpert, negbio"):
        read_mimic_cxr(tmp_path, labeller="me")  # type: ignore[arg-type]


def test_a_report_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tree(tmp_path)
    (path / "files" / "p10" / "p10000764" / "s50000004.txt").write_bytes(b"\xff")
    with pytest.raises(ManifestError, match=r"the report 'files/p10/p10000764/s50000004.txt': byte 1 .* is not UTF-8"):
        read_mimic_cxr(path)
