"""The reader of CheXpert Plus, on a small tree in its layout."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.chexpert_plus import read_chexpert_plus


def row(path: str, order: str, **others: str) -> dict[str, str]:
    """One line as the file has it."""
    return {
        "path_to_image": path,
        "frontal_lateral": "Frontal",
        "ap_pa": "AP",
        "deid_patient_id": path.split("/")[1],
        "patient_report_date_order": order,
        "report": "NARRATIVE: x\n FINDINGS: Clear.",
        "section_findings": " Clear  lungs.",
        "section_impression": "",
        "section_clinical_history": "Cough.",
        "section_accession_number": "12345",
        "sex": "Male",
        "age": "50",
        **others,
    }


ROWS = [
    row("train/patient00001/study1/view1_frontal.jpg", "10"),
    row("train/patient00001/study1/view2_lateral.jpg", "10", frontal_lateral="Lateral", ap_pa="", report="Other."),
    row("train/patient00001/study2/view1_frontal.jpg", "9"),
    row("valid/patient00002/study1/view1_frontal.jpg", ""),
]


def tree(folder: Path, rows: list[dict[str, Any]] = ROWS, suffix: str = ".jpg") -> Path:
    """Write a data set."""
    for one in ROWS:
        image = (folder / one["path_to_image"]).with_suffix(suffix)
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"pixels")
    path = folder / "df_chexpert_plus_240401.csv"
    with path.open("w", newline="") as out:
        table = csv.DictWriter(out, list(ROWS[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".dcm"])
def test_reports_and_their_sections(tmp_path: Path, suffix: str) -> None:
    records = read_chexpert_plus(tree(tmp_path, suffix=suffix))
    assert [(text.kind, text.text) for text in records[0].texts] == [
        ("report", "NARRATIVE: x\n FINDINGS: Clear."),
        ("findings", "Clear lungs."),
        ("clinical_history", "Cough."),
    ]
    assert records[0].image.path.suffix == suffix
    assert [(record.split, record.group) for record in records[2:]] == [
        ("train", "patient00001"),
        ("val", "patient00002"),
    ]
    assert [record.meta["view"] for record in records] == ["AP", "Lateral", "AP", "AP"]


def test_images_of_one_study_keep_their_own_reports(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="1 of 3 studies whose images carry different reports"):
        first, second, *_ = read_chexpert_plus(tree(tmp_path))
    assert (first.texts[0].text, second.texts[0].text) == ("NARRATIVE: x\n FINDINGS: Clear.", "Other.")


def test_the_prior_study_is_by_the_order_of_dates(tmp_path: Path) -> None:
    first, second, third, fourth = read_chexpert_plus(tree(tmp_path))
    # 9 comes before 10, though not as text, and not by the number of the study.
    assert first.meta["prior_study"] == second.meta["prior_study"] == "patient00001/study2"
    assert "prior_study" not in third.meta and "prior_study" not in fourth.meta


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [row("patient/a.jpg", "1"), row("train/patient00003/study1/a.jpg", "1"), {**ROWS[0], "path_to_image": ""}]
    with pytest.raises(ManifestError) as caught:
        read_chexpert_plus(tree(tmp_path, rows))
    for part in (
        "line 2: the path 'patient/a.jpg' must end in",
        "line 4: the image 'train/patient00003/study1/a.jpg' or 'train/patient00003/study1/a.png' or",
        "line 6: 'path_to_image' is missing. It must be text.",
    ):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_chexpert_plus(tmp_path / "nowhere.csv")
