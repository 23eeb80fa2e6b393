"""Report files that stand beside images."""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import RowError
from vlcore.data.readers.lines import decode
from vlcore.errors import UnsafePathError
from vlcore.files import contained


def read_report(root: Path, name: str) -> str | None:
    """A report as it stands, line breaks kept; None if there is no such file, or no words in it.

    Raises:
        RowError: if the name leads out of the folder, or the file is not UTF-8.
    """
    try:
        path = contained(root, name)
    except UnsafePathError as error:
        raise RowError(str(error)) from None
    if not path.is_file():
        return None
    try:
        text = decode(path.read_bytes())
    except RowError as error:
        raise RowError(f"the report {name!r}: {error}") from None
    return text if text.strip() else None
