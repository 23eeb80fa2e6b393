"""Rows of CSV files with their places."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vlcore.data.reader import RowError
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.tables import csv_rows


def test_lines_are_counted_through_cells_that_go_over_several(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes('\ufeffid, text,\r\n1,"a\r\nb",\r\n\r\n2, ,9\r\n3\r\n'.encode())
    rows = list(csv_rows(path, ["id", "text"]))
    assert rows[:2] == [("line 2", {"id": "1", "text": "a\r\nb"}), ("line 5", {"id": "2"})]
    place, error = rows[2]
    assert place == "line 6" and isinstance(error, RowError)
    assert str(error) == "has 1 cells where the header has 3: ['3']. Mend the line."


def test_a_cell_may_be_longer_than_the_default_of_the_csv_module(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"id\n{'7' * 200_000}\n")
    assert len(next(csv_rows(path, ["id"]))[1]["id"]) == 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"line 1: the columns \['id'\] are missing; found \[\]"),
        (b'id\n"open', "is no CSV in UTF-8: unexpected end of data"),
        (b"id\n\xff\n", "is no CSV in UTF-8: 'utf-8' codec"),
    ],
)
def test_another_file_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        list(csv_rows(path, ["id"]))
    with pytest.raises(ConfigurationError, match="is no file"):
        list(csv_rows(tmp_path / "nowhere.csv", ["id"]))


def test_a_packed_file_that_was_cut_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"id\n" + b"".join(b"%d\n" % number for number in range(9999)))[:-20])
    with pytest.raises(ManifestError, match="is no CSV in UTF-8: Compressed file ended"):
        list(csv_rows(path, ["id"]))
