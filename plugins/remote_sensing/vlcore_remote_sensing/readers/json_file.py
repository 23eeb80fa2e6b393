"""One JSON file that holds a whole data set, with what is wrong with it told by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import require_file
from vlcore.errors import ManifestError, Problem


def read_json(path: Path) -> Any:
    """The value of a JSON file in UTF-8.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if it is no JSON, with the line.
    """
    require_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ManifestError(path, [Problem(f"line {error.lineno}", f"is not JSON: {error.msg}.")]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 at byte {error.start + 1:,}. Save it as UTF-8."
        raise ManifestError(path, [Problem("the file", message)]) from None


def json_list(path: Path, key: str | None = None) -> list[Any]:
    """The list that a file holds, at the top or under a key.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: if it is no JSON, or holds no such list.
    """
    value = read_json(path)
    found = value if key is None else value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        shape = "[...]" if key is None else f'{{"{key}": [...]}}'
        reason = (
            f"it is a {type(value).__name__}"
            if key is None or not isinstance(value, dict)
            else f"{key!r} is a {type(found).__name__}, not a list"
            if key in value
            else f"its keys are {sorted(value)[:5]}"
        )
        message = f"does not hold {shape} ({reason}). Give the annotation file of the data set."
        raise ManifestError(path, [Problem("the file", message)])
    return found


def with_places(noun: str, rows: list[Any], key: str) -> Iterator[tuple[str, Any]]:
    """Rows with their places, such as `image 3 (airport_1.jpg)`.

    Args:
        noun: what a row is.
        rows: as read.
        key: of the name that is given beside the number.
    """
    for number, row in enumerate(rows, start=1):
        name = row.get(key) if isinstance(row, dict) else None
        yield f"{noun} {number}" + (f" ({name})" if isinstance(name, str) else ""), row
