"""Rows of a file of reports, with their places."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError, json_lines, require_file
from vlcore.errors import ConfigurationError

SUFFIXES = (".csv", ".jsonl")


def check_suffix(path: Path) -> None:
    """Refuse what is neither CSV nor JSON Lines.

    Raises:
        ConfigurationError: naming the suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"{path} ends in {path.suffix!r}. Name a file that ends in .csv or .jsonl.")


def report_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and values of every row; one that cannot be read comes as a `RowError`.

    Raises:
        ConfigurationError: if there is no such file, or it has another suffix.
    """
    check_suffix(path)
    require_file(path)
    if path.suffix.lower() == ".jsonl":
        yield from json_lines(path)
        return
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        try:
            for values in reader:
                place = f"line {reader.line_num}"
                if None in values or None in values.values():
                    yield place, RowError(f"has not the {len(reader.fieldnames or ())} fields of the header. Mend it.")
                else:
                    yield place, values
        except (csv.Error, UnicodeDecodeError) as error:
            yield f"after line {reader.line_num}", RowError(f"is not CSV in UTF-8: {error}")
