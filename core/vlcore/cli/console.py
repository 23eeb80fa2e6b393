"""What commands print: tables and JSON on standard output, errors on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Format = Literal["table", "json"]
"""How a command prints its result: for people or for programs."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print rows under headings; long cells wrap, nothing is cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text keeps brackets such as vlcore[medical] from being read as markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_error(message: str) -> None:
    """Print one paragraph on standard error, marked red where that is a terminal."""
    plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ
    print(f"error: {message}" if plain else f"\033[1;31merror:\033[0m {message}", file=sys.stderr)
