"""The reader of chest X-rays, on a small tree in the true layout and on the real data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.record import Text
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.covid_cxr import read_covid_cxr

ROW = {
    "image": "images/a.jpg",
    "patient": "2",
    "split": "test",
    "finding": "COVID-19",
    "view": "PA",
    "modality": "X-ray",
    "sex": "M",
    "age": "65",
    "clinical_notes": "Fever\n since  four days.",
    "lungs": {"left_lung": [1.0, 2.0, 3.0, 4.0]},
    "license": "",
}


def tree(folder: Path, *rows: dict[str, Any] | str) -> Path:
    """Write a data set, of one row if none is given; images named by rows are made."""
    rows = rows or (ROW,)
    (folder / "images").mkdir(exist_ok=True)
    for row in rows:
        if isinstance(row, dict) and ".." not in str(row.get("image", "..")) and "gone" not in row["image"]:
            (folder / row["image"]).write_bytes(b"jpeg")
    path = folder / "data.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_becomes_a_record_grouped_by_patient(tmp_path: Path) -> None:
    (record,) = read_covid_cxr(tree(tmp_path, ROW))
    assert record.id == "images/a.jpg"
    assert record.image.path == tmp_path / "images" / "a.jpg"
    assert record.texts == (Text("Fever since four days.", lang="en", kind="notes"),)
    assert (record.group, record.split) == ("2", "test")
    assert record.labels == {"finding": "COVID-19", "view": "PA"}
    assert record.meta == {"sex": "M", "age": "65", "modality": "X-ray"}


@pytest.mark.parametrize("nothing", ["", "todo", "Unknown", "?"])
def test_what_nobody_has_said_is_no_label(tmp_path: Path, nothing: str) -> None:
    (record,) = read_covid_cxr(tree(tmp_path, {**ROW, "finding": nothing, "view": nothing, "clinical_notes": " "}))
    assert record.labels == {}
    assert record.texts == ()


def test_no_finding_is_a_finding(tmp_path: Path) -> None:
    (record,) = read_covid_cxr(tree(tmp_path, {**ROW, "finding": "No Finding"}))
    assert record.labels["finding"] == "No Finding"


def test_all_bad_lines_are_listed_with_their_numbers(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        ROW,
        "{not json",
        "",
        {**ROW, "image": "images/b.jpg", "patient": 7},
        {**ROW, "image": "images/gone.jpg"},
        {**ROW, "image": "../secret.jpg"},
        ROW,
        "[1, 2]",
    )
    with pytest.raises(ManifestError) as caught:
        read_covid_cxr(path)
    places = [problem.place for problem in caught.value.problems]
    assert places == ["line 2", "line 4", "line 5", "line 6", "line 7", "line 8"]
    message = str(caught.value)
    assert message.startswith(f"{path}: 6 problems")
    for part in (
        "line 2: is not JSON",
        "line 4: 'patient' is 7. It must be text.",
        "line 5: the image 'images/gone.jpg' is not in",
        "line 6: The path '../secret.jpg' leads out of",
        "line 7: the id 'images/a.jpg' is also on line 1",
        "line 8: is [1, 2]. It must be a JSON object.",
    ):
        assert part in message


def test_a_missing_key_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"line 1: 'patient' is missing. It must be text."):
        read_covid_cxr(tree(tmp_path, {key: value for key, value in ROW.items() if key != "patient"}))
    with pytest.raises(ConfigurationError, match=r"nowhere.jsonl is no file"):
        read_covid_cxr(tmp_path / "nowhere.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ManifestError, match="holds no rows"):
        read_covid_cxr(tmp_path / "empty.jsonl")


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tree(elsewhere, ROW)
    (tmp_path / "images").mkdir()
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(ROW))
    (record,) = read_covid_cxr(path, image_root=elsewhere)
    assert record.image.path == elsewhere / "images" / "a.jpg"


def test_the_real_data(data_root: Path) -> None:
    records = read_covid_cxr(data_root / "medical" / "covid_cxr" / "data.jsonl")
    assert len(records) == 577
    assert Counter(record.split for record in records) == {"train": 368, "test": 141, "val": 68}
    assert sum(bool(record.texts) for record in records) == 577 - 123
    splits: dict[str | None, set[str | None]] = {}
    for record in records:
        splits.setdefault(record.group, set()).add(record.split)
    assert len(splits) == 348
    assert all(len(found) == 1 for found in splits.values()), "a patient is in one split"
    assert not {"todo", "Unknown", ""} & {record.labels.get("finding") for record in records}
