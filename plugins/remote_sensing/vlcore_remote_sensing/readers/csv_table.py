"""Rows of a CSV file with their lines, in UTF-8 or in the older encoding that a data set was written in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from vlcore.data.reader import RowError, require_file
from vlcore.errors import ManifestError, Problem


def csv_cells(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> Iterator[tuple[str, list[str] | RowError]]:
    """Cells of every line that is not blank; a quoted cell may go over several lines.

    Args:
        path: of the file.
        encodings: to try in order; the first one that fits all bytes is taken.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if no encoding fits.
    """
    require_file(path)
    # strict: an unclosed quotation mark is an error of its line instead of a row that swallows the rest.
    table = csv.reader(io.StringIO(_decode(path, encodings), newline=""), strict=True)
    while True:
        place = f"line {table.line_num + 1}"
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, RowError(f"is no valid row: {error}. Look for a quotation mark without its partner.")
            continue
        if any(cell.strip() for cell in cells):
            yield place, cells


def csv_rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str] | RowError]]:
    """Rows of a CSV file with a header line, by column.

    Args:
        path: of the file.
        required: columns that must be there.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if it is not UTF-8, or has no header with the columns.
    """
    cells = csv_cells(path)
    place, header = next(cells, ("line 1", []))
    missing = [name for name in required if isinstance(header, RowError) or name not in header]
    if isinstance(header, RowError) or missing:
        found = header if isinstance(header, RowError) else ", ".join(header) or "nothing"
        message = f"has no column {', '.join(missing)}; its header is: {found}. Give the file of the data set."
        raise ManifestError(path, [Problem(place, message)])
    for place, row in cells:
        if not isinstance(row, RowError) and len(row) != len(header):
            row = RowError(f"has {len(row)} cells where the header has {len(header)}. Quote cells with commas.")
        yield place, row if isinstance(row, RowError) else dict(zip(header, row, strict=True))


def _decode(path: Path, encodings: Sequence[str]) -> str:
    data = path.read_bytes()
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            place = f"byte {error.start + 1:,}"
    message = f"fits none of the encodings {', '.join(encodings)}. Save the file as UTF-8."
    raise ManifestError(path, [Problem(place, message)])
