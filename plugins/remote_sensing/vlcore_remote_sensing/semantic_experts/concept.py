"""One entry of the semantic knowledge base."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vlcore.data.reader import Row, RowError

Level = Literal["object", "region", "scene"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From fine to coarse, as the levels of an image tower go."""

LABEL = "label."
COLUMNS = ("concept_id", "level", "definition", "source", "licence")
"""Besides one `label.<language>` column per language."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Concept:
    """What a concept is called and what it looks like.

    Attributes:
        id: unique in its table, such as `scene/viaduct`.
        level: on which it is looked for.
        labels: by BCP-47 language, English always among them.
        definition: what it looks like from above, in English.
        source: label set or person it came from.
        licence: of the row.
    """

    id: str
    level: Level
    labels: Mapping[str, str]
    definition: str
    source: str
    licence: str

    @property
    def name(self) -> str:
        """The English label."""
        return self.labels["en"]

    def to_row(self) -> dict[str, str]:
        """The columns of the table, plain values."""
        labels = {f"{LABEL}{language}": label for language, label in sorted(self.labels.items())}
        own = dict(zip(COLUMNS, (self.id, self.level, self.definition, self.source, self.licence), strict=True))
        return own | labels


def language_of(column: str) -> str | None:
    """Language of a `label.<language>` column; None for other columns.

    Raises:
        RowError: if what follows `label.` is no BCP-47 tag.
    """
    if not column.startswith(LABEL):
        return None
    language = column.removeprefix(LABEL)
    if not _LANGUAGE.fullmatch(language):
        raise RowError(f"the column {column!r} names no language. Write label.<BCP-47 tag>, such as label.pt-BR.")
    return language


def build_concept(row: Row) -> Concept:
    """Turn a row of the table into a concept; empty labels other than the English one are left out.

    Raises:
        RowError: if a value is missing, or the level is none of the three.
    """
    texts: dict[str, Any] = {column: _words(row, column) for column in COLUMNS}
    if texts["level"] not in LEVELS:
        raise RowError(f"'level' is {texts['level']!r}. It must be one of {', '.join(LEVELS)}.")
    languages = {column: language_of(column) for column in row.values}
    labels = {
        language: " ".join(row.get(column, str).split())
        for column, language in languages.items()
        if language is not None and (row.values[column] or column == f"{LABEL}en")
    }
    if not labels.get("en"):
        raise RowError("'label.en' is missing. It must be text.")
    return Concept(texts["concept_id"], texts["level"], labels, texts["definition"], texts["source"], texts["licence"])


def _words(row: Row, column: str) -> str:
    text = " ".join(row.get(column, str).split())
    if not text:
        raise RowError(f"{column!r} is empty. It must be text.")
    return text
