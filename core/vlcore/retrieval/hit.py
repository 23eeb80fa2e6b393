"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlcore.data.record import ImageRef


@dataclass(frozen=True)
class Hit:
    """One found image.

    Attributes:
        id: of the record.
        score: cosine similarity to the query, -1..1.
        image: where its pixels are.
        texts: its own texts, which played no part in the search.
        columns: split, group and all metadata.
    """

    id: str
    score: float
    image: ImageRef
    texts: list[str]
    columns: dict[str, Any]


def hit_of(row: dict[str, Any]) -> Hit:
    """Read a row of an index with its `_distance` (one minus the cosine)."""
    rest = dict(row)
    window = rest.pop("window")
    image = ImageRef(Path(rest.pop("image")), rest.pop("member"), tuple(window) if window else None)
    return Hit(rest.pop("id"), 1 - float(rest.pop("_distance")), image, rest.pop("texts"), rest)
