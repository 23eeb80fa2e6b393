"""What the readers of figures share."""

from __future__ import annotations

from vlcore.data.reader import Row, RowError
from vlcore.data.record import Text


def caption(row: Row, key: str) -> Text:
    """The caption of a figure, spaces tidied.

    Raises:
        RowError: if it is missing or has no words.
    """
    words = " ".join(row.get(key, str).split())
    if not words:
        raise RowError(f"{key!r} has no words. Write the caption or remove the row.")
    return Text(words, lang="en")
