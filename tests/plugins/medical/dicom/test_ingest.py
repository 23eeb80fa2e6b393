"""Ingest of folders and archives, the reader of what it writes, and the command."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlcore.cli.main import main
from vlcore.errors import ConfigurationError, ManifestError, UnknownNameError
from vlcore_medical.dicom import previews
from vlcore_medical.dicom.image import open_dicom
from vlcore_medical.dicom.ingest import ingest_collection
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.dicom.render import render
from vlcore_medical.dicom.study_table import read_study_table
from vlcore_medical.readers.dicom_folder import read_dicom_folder

NAMES = Pseudonyms(b"salt")
MARKED = {"PatientIdentityRemoved": "YES", "PatientID": "P1", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}


@pytest.fixture
def source(make_dicom, tmp_path: Path) -> Path:
    """Two studies of one patient and one of another, a repeated file, a report, a note, a file without a mark."""
    ct = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024, **MARKED}
    pixels = np.linspace(0, 2000, 40 * 60).astype(np.uint16).reshape(40, 60)
    first = make_dicom("in/a/1.dcm", pixels, StudyDate="20200101", BodyPartExamined="CHEST", **ct)
    make_dicom("in/a/2", **{**MARKED, "StudyInstanceUID": "1.2.5", "StudyDate": "20200111"})
    make_dicom("in/b/3.dcm", **{**MARKED, "PatientID": "P2", "PatientIdentityRemoved": "NO"})
    shutil.copy(first, tmp_path / "in" / "b" / "copy.dcm")
    make_dicom("in/b/report.dcm", Rows=None, PixelData=None, **MARKED)
    (tmp_path / "in" / "note.txt").write_text("hello")
    return tmp_path / "in"


def entries(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_every_file_is_taken_or_counted(source: Path, tmp_path: Path) -> None:
    done = ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="skip")
    assert (done.rows, done.patients, done.studies) == (2, 1, 2)
    assert (done.repeated, done.other, done.without_pixels, done.bad) == (1, 1, 1, 0)
    assert (done.privacy.marked, done.privacy.accepted, done.privacy.left_out) == (2, 0, 1)
    assert entries(tmp_path / "out") == {"studies.parquet", "previews", "privacy.json", "privacy.txt"}
    first, second = read_dicom_folder(tmp_path / "out")
    assert first.group == second.group == NAMES.of("patient", "\0P1")
    assert first.labels == {"modality": "CT", "body_part": "CHEST"}
    assert (first.meta["day"], second.meta["day"]) == (0, 10)
    assert first.image.path == tmp_path / "out" / "previews" / f"{first.id}.png"
    with Image.open(first.image.path) as picture:
        assert (np.array(picture) == render(open_dicom(source / "a" / "1.dcm"))).all()


def test_an_archive_gives_the_same_table(source: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in source.rglob("*"):
            archive.write(file, file.relative_to(source))
    for name, path in (("folder", source), ("archive", tmp_path / "in.zip")):
        ingest_collection(path, tmp_path / name, NAMES, on_unmarked="accept")
    assert read_study_table(tmp_path / "folder") == read_study_table(tmp_path / "archive")
    assert len(read_study_table(tmp_path / "folder")) == 3


def test_files_without_a_mark_and_bad_files_stop_together(source: Path, tmp_path: Path) -> None:
    (source / "text.dcm").write_text("no picture")
    with pytest.raises(ManifestError) as caught:
        ingest_collection(source, tmp_path / "out", NAMES)
    assert [problem.place for problem in caught.value.problems] == ["b/3.dcm", "text.dcm"]
    assert "b/3.dcm: does not say that it is de-identified (PatientIdentityRemoved" in str(caught.value)
    assert "text.dcm: is not a DICOM file: 'DICM' does not follow" in str(caught.value)
    for mend in ("on_unmarked='skip' (left out, counted)", "on_bad_file='skip' (left out, counted)"):
        assert mend in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_rendered_stop_or_are_counted(make_dicom, tmp_path: Path) -> None:
    make_dicom("in/1.dcm", PixelData=b"\0\0", **MARKED)
    make_dicom("in/2.dcm", WindowCenter=1, WindowWidth=0, **MARKED)
    make_dicom("in/3.dcm", **MARKED)
    with pytest.raises(ManifestError) as caught:
        ingest_collection(tmp_path / "in", tmp_path / "out", NAMES)
    assert [problem.place for problem in caught.value.problems] == ["1.dcm", "2.dcm"]
    assert entries(tmp_path) == {"in"}
    done = ingest_collection(tmp_path / "in", tmp_path / "out", NAMES, on_bad_file="skip")
    assert (done.rows, done.bad) == (1, 2)
    assert len(entries(tmp_path / "out" / "previews")) == 1


def test_an_interruption_leaves_what_was_there(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="skip")
    before = read_study_table(tmp_path / "out")

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(previews, "render", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="accept")
    assert read_study_table(tmp_path / "out") == before
    assert entries(tmp_path) == {"in", "out"}


def test_a_ct_window_is_for_hounsfield_units_alone(source: Path, tmp_path: Path) -> None:
    ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="skip", ct_window="lung", size=30)
    first, second = read_dicom_folder(tmp_path / "out")
    with Image.open(first.image.path) as picture:
        expected = Image.fromarray(render(open_dicom(source / "a" / "1.dcm"), window="lung"))
        expected.thumbnail((30, 30), Image.Resampling.LANCZOS)
        assert picture.size == (30, 20)
        assert (np.array(picture) == np.array(expected)).all()
    with Image.open(second.image.path) as picture:
        assert (np.array(picture) == render(open_dicom(source / "a" / "2"))).all()


def test_what_cannot_be_done_is_told_before_anything_is_read(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no CT window named 'lunge'"):
        ingest_collection(source, tmp_path / "out", NAMES, ct_window="lunge")
    with pytest.raises(ConfigurationError, match="holds the source"):
        ingest_collection(source, tmp_path, NAMES)
    with pytest.raises(ConfigurationError, match="is a file"):
        ingest_collection(source, source / "note.txt", NAMES)
    with pytest.raises(ConfigurationError, match="size=0 must be at least 1 pixel"):
        ingest_collection(source, tmp_path / "out", NAMES, size=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no image to take: 0 other files"):
        ingest_collection(tmp_path / "empty", tmp_path / "out", NAMES)
    assert not (tmp_path / "out").exists()


def test_the_reader_tells_of_a_preview_that_is_gone(source: Path, tmp_path: Path) -> None:
    ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="skip")
    next((tmp_path / "out" / "previews").iterdir()).unlink()
    with pytest.raises(ManifestError, match=r"row [12]: the image 'previews/\w+.png' is not in"):
        read_dicom_folder(tmp_path / "out" / "studies.parquet")


def test_the_command_prints_what_became_of_the_files(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["medical", "ingest", str(source), "-o", str(tmp_path / "out" / "s"), "--on-unmarked", "skip"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "2 images of 2 studies and 1 patients; left out: 1 without a mark of de-identification, 0 bad" in out
    assert "1 repeated, 1 without pixels, 1 other files" in out
    assert "warnings: no_date" not in out
    assert "2 files do not say whether there is writing in their pixels" in err
    assert (tmp_path / "out" / "pseudonyms.salt").stat().st_mode & 0o077 == 0
    first = read_study_table(tmp_path / "out" / "s")
    assert main(arguments) == 0
    assert read_study_table(tmp_path / "out" / "s") == first
    assert main(arguments[:5]) == 2
    assert "does not say that it is de-identified" in capsys.readouterr().err


def test_the_real_files(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "medical" / "dicom"
    done = ingest_collection(source, tmp_path / "out", NAMES, on_unmarked="accept", size=64)
    assert (done.rows, done.other, done.bad, done.repeated) == (18, 1, 0, 0)
    assert (done.privacy.marked, done.privacy.accepted) == (3, 15)
    assert done.warnings["shared_instance_uid"] == 4
    records = read_dicom_folder(tmp_path / "out")
    assert sorted({record.labels.get("modality", "") for record in records}) == [
        "",
        "CR",
        "CT",
        "MR",
        "NM",
        "OT",
        "SEG",
        "US",
    ]
