"""Labels of files of reports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.reports.label_file import label_file

ROWS = [
    {"id": "a", "findings": "Stable cardiomegaly. No effusion.", "impression": ""},
    {"id": 2, "report": " FINAL REPORT\n INDICATION: pneumonia?\n\n IMPRESSION: Possible edema.\n"},
    {"id": "c", "findings": "", "impression": None},
]


def write_jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl_to_jsonl_with_evidence(tmp_path: Path) -> None:
    output = tmp_path / "new" / "labels.jsonl"
    counts = label_file(write_jsonl(tmp_path / "reports.jsonl", ROWS), output)
    assert (counts["reports"], counts["empty"], counts["Cardiomegaly"], counts["Edema"]) == (3, 1, 1, 0)
    first, second, third = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    assert first["labels"]["Cardiomegaly"] == {"status": "positive", "evidence": "Stable cardiomegaly."}
    assert first["labels"]["Pleural Effusion"] == {"status": "negative", "evidence": "No effusion."}
    assert second["id"] == "2"
    assert second["labels"]["Edema"] == {"status": "uncertain", "evidence": "Possible edema."}
    # The indication asks; it states nothing.
    assert second["labels"]["Pneumonia"] == {"status": "not mentioned", "evidence": ""}
    assert {label["status"] for label in third["labels"].values()} == {"not mentioned"}


def test_csv_to_csv(tmp_path: Path) -> None:
    reports = tmp_path / "reports.csv"
    reports.write_text('\ufeffid,report\nx,"FINDINGS: Clear,\nno edema."\n', encoding="utf-8")
    label_file(reports, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["id"], row["No Finding"], row["Edema"]) == ("x", "positive", "negative")
    assert row["Edema evidence"] == "Clear, no edema."


def test_all_bad_rows_are_listed_and_nothing_is_written(tmp_path: Path) -> None:
    reports = write_jsonl(tmp_path / "reports.jsonl", [*ROWS[:1], {"id": "b"}, {"report": "x"}, ROWS[0], 7])
    with reports.open("a") as lines:
        lines.write('{"id": \n{"id": "d", "findings": 3}\n')
    with pytest.raises(ManifestError) as caught:
        label_file(reports, tmp_path / "labels.csv")
    for part in (
        "line 2: has no text: give 'findings' and 'impression', or 'report'.",
        "line 3: 'id' is missing. It must be text.",
        "line 4: the id 'a' is also on line 1. Remove one of them.",
        "line 5: is 7. It must be a JSON object.",
        "line 6: is not JSON in UTF-8",
        "line 7: 'findings' is 3. It must be text.",
    ):
        assert part in str(caught.value)
    assert len(caught.value.problems) == 6
    assert not (tmp_path / "labels.csv").exists()


def test_bad_csv_is_told(tmp_path: Path) -> None:
    reports = tmp_path / "reports.csv"
    reports.write_text("id,report\na,x,y\nb\n")
    with pytest.raises(ManifestError, match=r"(?s)line 2: has not the 2 fields.*line 3: has not the 2 fields"):
        label_file(reports, tmp_path / "labels.csv")
    reports.write_bytes(b"id,report\na,\xff\n")
    with pytest.raises(ManifestError, match="is not CSV in UTF-8"):
        label_file(reports, tmp_path / "labels.csv")
    reports.write_text("id,report\n")
    with pytest.raises(ManifestError, match="holds no rows"):
        label_file(reports, tmp_path / "labels.csv")


def test_unusable_paths_are_told(tmp_path: Path) -> None:
    reports = write_jsonl(tmp_path / "reports.jsonl", ROWS)
    with pytest.raises(ConfigurationError, match=r"labels\.txt ends in '\.txt'"):
        label_file(reports, tmp_path / "labels.txt")
    with pytest.raises(ConfigurationError, match="is the file of the reports"):
        label_file(reports, reports)
    with pytest.raises(ConfigurationError, match="is no file"):
        label_file(tmp_path / "gone.csv", tmp_path / "labels.csv")
