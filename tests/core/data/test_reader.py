"""The building blocks of readers: rows with places, typed values, problems together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vlcore.data.reader import Row, RowError, collect_records, json_lines
from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError, ManifestError


def test_values_are_checked_against_their_type() -> None:
    row = Row({"text": "a", "whole": 3, "part": 0.5, "yes": True, "none": None}, Path())
    assert row.get("text", str) == "a"
    assert row.get("whole", float) == 3
    assert row.get("part", float) == 0.5
    assert row.get("yes", bool) is True
    assert row.get("none", str, "default") == "default"
    assert row.get("absent", list, None) is None
    for name, kind in (("whole", str), ("part", int), ("yes", int), ("yes", float), ("whole", bool), ("text", list)):
        with pytest.raises(RowError, match=f"'{name}' is .* It must be"):
            row.get(name, kind)
    for name in ("none", "absent"):
        with pytest.raises(RowError, match=f"'{name}' is missing. It must be a list"):
            row.get(name, list)


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(RowError) as caught:
        Row({"text": "x" * 1000}, Path()).get("text", int)
    assert len(str(caught.value)) < 150


def test_lines_have_numbers_blank_ones_are_passed_over_and_bad_ones_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2\n{"a": "\xff"}\n["\xe2\x80\xa8"]')
    rows = list(json_lines(path))
    assert [place for place, _ in rows] == ["line 1", "line 3", "line 4", "line 5"]
    assert rows[0][1] == {"a": 1}
    assert isinstance(rows[1][1], RowError)
    assert isinstance(rows[2][1], RowError)
    # A line separator inside a text is no end of line.
    assert rows[3][1] == ["\u2028"]
    with pytest.raises(ConfigurationError, match="is no file"):
        list(json_lines(tmp_path / "b.jsonl"))


def build(row: Row) -> Record:
    """A record with an id alone."""
    return Record(row.get("id", str), ImageRef(row.folder))


def test_all_problems_come_together(tmp_path: Path) -> None:
    rows: list[tuple[str, Any]] = [("row 1", {"id": "a"}), ("row 2", {}), ("row 3", {"id": "a"}), ("row 4", "x")]
    with pytest.raises(ManifestError) as caught:
        collect_records(tmp_path / "a.csv", rows, tmp_path, build)
    assert [str(problem) for problem in caught.value.problems] == [
        "row 2: 'id' is missing. It must be text.",
        "row 3: the id 'a' is also on row 1. Remove one of them.",
        "row 4: is 'x'. It must be a JSON object.",
    ]


def test_defects_of_a_reader_are_not_hidden(tmp_path: Path) -> None:
    def defective(row: Row) -> Record:
        raise KeyError("oops")

    with pytest.raises(KeyError):
        collect_records(tmp_path, [("row 1", {"id": "a"})], tmp_path, defective)
