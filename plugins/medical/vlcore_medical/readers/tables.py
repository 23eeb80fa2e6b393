"""Rows of the JSON and CSV files of data sets, with their places."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError, require_file
from vlcore.errors import ConfigurationError, ManifestError, Problem

csv.field_size_limit(2**24)  # 16 MiB: a run-length encoded mask or a report is longer than the default of 128 KiB


def csv_rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Rows of a CSV file, plain or `.gz`, as tables of text; empty cells and columns without a name are left out.

    Spaces around the names of columns are removed: some sources write them.

    Args:
        path: of the file.
        columns: that must be there.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if a column is missing, or the file is no CSV in UTF-8.
    """
    require_file(path)
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
        table = csv.reader(lines, strict=True)
        try:
            header = [name.strip() for name in next(table, [])]
            if missing := [name for name in columns if name not in header]:
                message = f"the columns {missing} are missing; found {header}. Give the data set's own file."
                raise ManifestError(path, [Problem("line 1", message)])
            line = table.line_num + 1
            for cells in table:
                if cells:  # a blank line has none
                    yield f"line {line}", _row(header, cells)
                line = table.line_num + 1
        except (csv.Error, UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
            message = f"is no CSV in UTF-8: {error}. Download the file again."
            raise ManifestError(path, [Problem(f"line {table.line_num + 1}", message)]) from None


def csv_by_key(path: Path, key: str, columns: Iterable[str] = ()) -> dict[str, Mapping[str, str]]:
    """Rows of a CSV file by one of its columns.

    Args:
        path: of the file.
        key: the column.
        columns: others that must be there.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad row, and those whose key is empty or comes again with other values.
    """
    found: dict[str, Mapping[str, str]] = {}
    problems = []
    for place, values in csv_rows(path, [key, *columns]):
        if isinstance(values, RowError):
            problems.append(Problem(place, str(values)))
        elif (name := values.get(key)) is None or found.setdefault(name, values) != values:
            problems.append(Problem(place, f"{key!r} is {name!r}. It must be there, and with one row only."))
    if problems:
        raise ManifestError(path, problems)
    return found


def _row(header: list[str], cells: list[str]) -> dict[str, str] | RowError:
    if len(cells) != len(header):
        return RowError(f"has {len(cells)} cells where the header has {len(header)}: {cells!r:.80}. Mend the line.")
    return {name: cell for name, cell in zip(header, cells, strict=True) if name and cell.strip()}


def json_file(path: Path) -> Any:
    """Contents of a JSON file.

    Raises:
        ConfigurationError: if it does not exist.
        ManifestError: if it is no JSON in UTF-8.
    """
    require_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ManifestError(path, [Problem(f"line {error.lineno}", f"is not JSON: {error.msg}.")]) from None
    except UnicodeDecodeError as error:
        raise ManifestError(path, [Problem("the file", f"is not UTF-8: {error}.")]) from None


def json_rows(path: Path, noun: str) -> Iterator[tuple[str, Any]]:
    """Rows of a JSON file that holds one list.

    Args:
        path: of the file.
        noun: what a row is, for its place: `question 3`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if it holds no list in JSON.
    """
    yield from listed(path, json_file(path), noun)


def listed(path: Path, values: Any, noun: str) -> Iterator[tuple[str, Any]]:
    """Items of a list that a JSON file holds, with their places.

    Raises:
        ManifestError: if it is no list.
    """
    if not isinstance(values, list):
        message = f"holds {values!r:.80} where a list belongs. Give the data set's own file."
        raise ManifestError(path, [Problem(f"the list of each {noun}", message)])
    yield from ((f"{noun} {number}", value) for number, value in enumerate(values, start=1))


def in_file(path: Path, rows: Iterable[tuple[str, Any]], **extra: Any) -> Iterator[tuple[str, Any]]:
    """The rows of one of several files: its name goes into the place, and what it tells into every row."""
    for place, values in rows:
        yield f"{path.name} {place}", {**values, **extra} if isinstance(values, dict) else values


def require_folder(path: Path, holding: str) -> None:
    """Say plainly that a folder is not there.

    Args:
        path: of the folder.
        holding: what should be in it, for the message.

    Raises:
        ConfigurationError: if the path is no folder.
    """
    if not path.is_dir():
        raise ConfigurationError(f"{path} is no folder. Give the folder that holds {holding}.")
