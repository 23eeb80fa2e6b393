"""CSV and TSV: a header line, then one row each."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError
from vlcore.data.readers.lines import numbered_lines
from vlcore.data.readers.rows import SourceRow, missing_columns
from vlcore.errors import ManifestError, Problem

_STRUCTURED = frozenset(("texts", "captions", "labels", "meta"))


class DelimitedReader:
    """Reads CSV (comma, or semicolon where the header has no comma) and TSV.

    Empty cells are absent, but for captions. A cell of `texts`, `captions`, `labels` or `meta` may be JSON.

    Args:
        path: of the file.
        root: folder that image paths start from.
        columns: own names of columns, by role.
    """

    def __init__(self, path: Path, root: Path, columns: Mapping[str, str]) -> None:
        self.format = "tsv" if path.suffix.lower() == ".tsv" else "csv"
        self.path = path
        self.root = root
        self.files = (path,)
        self._columns = columns

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row for each line; a quoted cell may go over several.

        Raises:
            ManifestError: if the header cannot be used.
        """
        lines = _Lines(self.path)
        table = _records(lines, self._delimiter())
        header: list[str] | None = None
        for first, cells in table:
            place = f"line {first}"
            if isinstance(cells, RowError):
                if header is None:
                    raise ManifestError(self.path, [Problem(place, str(cells))])
                yield Problem(place, str(cells))
            elif header is None:
                header = self._header(cells, place)
            elif len(cells) != len(header):
                yield Problem(
                    place,
                    f"has {len(cells)} fields where the header has {len(header)}: {cells!r:.120}. Put quotation marks "
                    f"around cells that hold the separator.",
                )
            else:
                values = {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True)}
                yield SourceRow(place, values, blank_is_absent=True)

    def _delimiter(self) -> str:
        if self.format == "tsv":
            return "\t"
        header = next((line for _, line in numbered_lines(self.path) if isinstance(line, str) and line.strip()), "")
        return ";" if ";" in header and "," not in header else ","

    def _header(self, cells: list[str], place: str) -> list[str]:
        # pandas writes its index under an empty name.
        names = [cell.strip() or f"column {position}" for position, cell in enumerate(cells, start=1)]
        problem = missing_columns(names, self._columns)
        if not problem and len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            problem = f"the columns {twice} come twice. Rename or remove one of each."
        if problem:
            raise ManifestError(self.path, [Problem(place, problem)])
        return names


class _Lines:
    """Feeds the csv module and remembers where it is and which of the lines it took were bad."""

    def __init__(self, path: Path) -> None:
        self._lines = numbered_lines(path)
        self.number = 0
        self.bad: tuple[int, RowError] | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if isinstance(line, RowError):
            self.bad = self.bad or (self.number, line)
            return "\n"
        return line + "\n"


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | RowError]]:
    """Rows with the number of their first line; blank lines are skipped."""
    # strict: an unclosed quotation mark is an error of its line instead of a row that swallows the rest.
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first, lines.bad = lines.number + 1, None
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, RowError(f"is no valid row: {error}. Look for a quotation mark without its partner.")
            continue
        bad: tuple[int, RowError] | None = lines.bad
        if bad is not None:
            yield bad
        elif any(cell.strip() for cell in cells):
            yield first, cells


def _cell(name: str, cell: str) -> Any:
    if name in _STRUCTURED and cell.lstrip().startswith(("[", "{")):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # a caption such as "[music]"
    return cell
