"""A text file whose lines count by their place."""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import RowError, require_file
from vlcore.data.readers.lines import numbered_lines
from vlcore.errors import ManifestError, Problem


def text_lines(path: Path) -> list[str]:
    """Every line without the space around it, blank ones too.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing the lines that are not UTF-8.
    """
    require_file(path)
    lines = list(numbered_lines(path))
    if problems := [Problem(f"line {number}", str(line)) for number, line in lines if isinstance(line, RowError)]:
        raise ManifestError(path, problems)
    return [str(line).strip() for _, line in lines]
