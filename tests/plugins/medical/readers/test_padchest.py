"""The reader of PadChest, on a small tree in its layout."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.padchest import read_padchest


def row(image: str, study: str = "s1", date: str = "20140915", **others: str) -> dict[str, str]:
    """One line as the file has it."""
    return {
        "": "0",
        "ImageID": image,
        "ImageDir": "0",
        "StudyDate_DICOM": date,
        "StudyID": study,
        "PatientID": "p1",
        "PatientSex_DICOM": "F",
        "Projection": "PA",
        "Report": " sin hallazg  patolog .",
        "MethodLabel": "Physician",
        "Labels": "['normal', ' chronic changes', '']",
        "Localizations": "['loc basal']",
        "labelCUIS": "['C0024115' 'C0034067'\n 'C0546333']",
        **others,
    }


ROWS = [
    row("a.png"),
    row("b.png", "s0", "20150914", Projection="L", MethodLabel="RNN_model"),
    row("c.png", "s2", "20150914", Labels="[]", Report="", labelCUIS="[]"),
]


def tree(folder: Path, rows: list[dict[str, Any]] = ROWS, packed: bool = True, place: str = "0") -> Path:
    """Write a data set."""
    (folder / place).mkdir(exist_ok=True)
    for one in ROWS:
        (folder / place / one["ImageID"]).write_bytes(b"png")
    out = io.StringIO()
    table = csv.DictWriter(out, list(ROWS[0]))
    table.writeheader()
    table.writerows(rows)
    path = folder / ("padchest.csv.gz" if packed else "padchest.csv")
    path.write_bytes(gzip.compress(out.getvalue().encode()) if packed else out.getvalue().encode())
    return path


@pytest.mark.parametrize("place", ["0", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_images_with_spanish_reports(tmp_path: Path, packed: bool, place: str) -> None:
    first, second, third = read_padchest(tree(tmp_path, packed=packed, place=place))
    assert [(text.text, text.lang, text.kind) for text in first.texts] == [("sin hallazg patolog .", "es", "report")]
    assert first.group == second.group == third.group == "p1"
    assert third.texts == () and third.labels["findings"] == []
    assert first.meta == {"study": "s1", "view": "PA", "labelled_by": "Physician", "sex": "F"}
    assert (second.meta["view"], second.meta["labelled_by"]) == ("L", "RNN_model")


def test_lists_lose_stray_spaces_and_numpy_writes_no_commas(tmp_path: Path) -> None:
    first = read_padchest(tree(tmp_path))[0]
    assert first.labels == {
        "findings": ["normal", "chronic changes"],
        "places": ["loc basal"],
        "cuis": ["C0024115", "C0034067", "C0546333"],
    }


def test_studies_of_one_day_are_in_no_order(tmp_path: Path) -> None:
    first, second, third = read_padchest(tree(tmp_path))
    assert "prior_study" not in first.meta
    assert second.meta["prior_study"] == third.meta["prior_study"] == "s1"


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [
        row("a.png", Labels="__import__('os')"),
        row("b.png", Labels="['a', 7]"),
        row("gone.png"),
        row("../a.png"),
        {**row("c.png"), "PatientID": ""},
        {**row("c.png"), "Labels": "nan"},
    ]
    with pytest.raises(ManifestError) as caught:
        read_padchest(tree(tmp_path, rows))
    for part in (
        "'Labels' is \"__import__('os')\". It must be a list of names, such as ['normal'].",
        "'Labels' is \"['a', 7]\".",
        "the image '0/gone.png' or 'gone.png' is not in",
        "The path '0/../a.png' leads out of",
        "'PatientID' is missing. It must be text.",
    ):
        assert part in str(caught.value)
    assert [problem.place for problem in caught.value.problems] == ["line 2", "line 4", "line 6", "line 8", "line 10"]
    with pytest.raises(ConfigurationError, match="is no file"):
        read_padchest(tmp_path / "nowhere.csv")
