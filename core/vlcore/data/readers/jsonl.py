"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError
from vlcore.data.readers.lines import numbered_lines
from vlcore.data.readers.rows import SourceRow
from vlcore.errors import Problem


class JsonLinesReader:
    """Reads `{"image": "a.jpg", "text": "…"}` lines; blank lines are skipped.

    Args:
        path: of the file.
        root: folder that image paths start from.
    """

    format = "jsonl"

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.root = root
        self.files = (path,)

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row a line."""
        for number, line in numbered_lines(self.path):
            place = f"line {number}"
            try:
                if isinstance(line, RowError):
                    raise line
                if line.strip():
                    yield SourceRow(place, json_object(line))
            except RowError as error:
                yield Problem(place, str(error))


def json_object(text: str) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        RowError: if it is no JSON, or of another type.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise RowError(f"is no JSON: {error.msg} at column {error.pos + 1}: {text[:60]!r}.") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise RowError(f"is no usable JSON: {error}.") from None
    if not isinstance(values, dict):
        raise RowError(f'is {values!r:.60}. It must be an object, such as {{"image": "a.jpg", "text": "…"}}.')
    return values
