"""From the row of any format to a `Record`: which key means what, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vlcore.data.reader import RowError
from vlcore.data.readers.paths import ImageFolder
from vlcore.data.readers.texts import language_matches, parse_texts
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError, Problem

T = TypeVar("T")

TEXT_KEYS = ("text", "texts", "caption", "captions")
ROLES = ("image", "text", "id", "group", "split", "label", "lang")
"""What a source's own column can be named for; see `open_manifest`."""
KNOWN_KEYS = frozenset((*ROLES, *TEXT_KEYS, "labels", "meta"))


@dataclass(slots=True)
class SourceRow:
    """One row as its format gives it.

    Attributes:
        place: where it stands, as a person would look for it.
        values: keys and values as read; None is absent.
        image: where the image is, if the format itself holds it; otherwise a key names a file.
        name: default id where `image` is set.
        texts: captions that the format keeps outside the keys, such as sidecar files.
        blank_is_absent: whether empty cells mean nothing (CSV); an empty caption is an error all the same.
    """

    place: str
    values: dict[str, Any]
    image: ImageRef | None = None
    name: str | None = None
    texts: list[str] | None = None
    blank_is_absent: bool = False


class Reader(Protocol):
    """What each format provides.

    Attributes:
        format: its name.
        root: folder that image paths start from.
        files: whose change makes an opened manifest stale.
    """

    @property
    def format(self) -> str: ...  # noqa: D102
    @property
    def root(self) -> Path: ...  # noqa: D102
    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102

    def rows(self) -> Iterator[SourceRow | Problem]:
        """Every row in order; a row that cannot be read at all comes as a problem."""


def check_roles(columns: Mapping[str, str]) -> None:
    """Refuse unknown roles.

    Raises:
        ConfigurationError: naming the roles that exist.
    """
    if unknown := sorted(set(columns) - set(ROLES)):
        raise ConfigurationError(f"columns names unknown roles {unknown}. Roles: {', '.join(ROLES)}.")


def missing_columns(present: Iterable[str], columns: Mapping[str, str]) -> str:
    """What a table lacks, with what it has and what is wanted; empty if it lacks nothing."""
    have = list(present)
    wanted = {"image": "image", **columns}
    absent = [repr(name) + f" (for {role})" * (name != role) for role, name in wanted.items() if name not in have]
    if not absent:
        return ""
    return (
        f"there is no column {' and no column '.join(absent)}. The columns are {have}; wanted are 'image' and usually "
        f"'text', optional {sorted(KNOWN_KEYS - {'image', 'text'})}. Rename a column, or name it: "
        f"open_manifest(…, columns={{'image': 'file_name'}})."
    )


class RecordBuilder:
    """Turns rows into records.

    Args:
        folder: of the images.
        columns: own names of columns, by role.
        lang: language to keep; None keeps all.
    """

    def __init__(self, folder: ImageFolder, columns: Mapping[str, str], lang: str | None) -> None:
        self.folder = folder
        self.lang = lang
        self._key = {role: columns.get(role, role) for role in ROLES}
        self._text_keys = (columns["text"],) if "text" in columns else TEXT_KEYS
        # Without these a record would get a wrong id or fall out of its group, silently.
        self._named = {columns[role]: role for role in ("image", "id", "group") if role in columns}
        named = {key for role, key in self._key.items() if role != "text"}
        self._used = frozenset((*named, *self._text_keys, "labels", "meta"))

    def build(
        self, row: SourceRow, problems: list[str], *, check_files: bool
    ) -> tuple[Record | None, tuple[Text, ...]]:
        """Make a record.

        Args:
            row: as read.
            problems: receives everything that is wrong with the row.
            check_files: whether to ask the file system for the image.

        Returns:
            The record, or None if anything is wrong, and all texts of the row, of whatever language.
        """

        def attempt(part: Callable[[], T]) -> T | None:
            try:
                return part()
            except RowError as error:
                problems.append(str(error))
                return None

        values = self._values(row)
        before = len(problems)
        for key, role in self._named.items():
            held = role == "image" and row.image is not None  # by the format itself
            if values.get(key) is None and not held:
                problems.append(f"{key!r}, which is to be the {role}, is missing. Fill it in.")
        image = attempt(lambda: self._image(row, values, check_files))
        identifier = attempt(lambda: self._identify(row, values))
        texts = attempt(lambda: tuple(self._texts(row, values))) or ()
        group = attempt(lambda: _word(values, self._key["group"]))
        split = attempt(lambda: _word(values, self._key["split"]))
        labels = attempt(lambda: self._labels(values))
        meta = attempt(lambda: self._meta(values))
        if len(problems) > before or image is None or not identifier:
            return None, texts
        kept = texts
        if self.lang is not None:
            kept = tuple(text for text in texts if language_matches(text.lang, self.lang))
        return Record(identifier, image, kept, group, split, labels or {}, meta or {}), texts

    def identify_if_possible(self, row: SourceRow) -> str:
        """Id of a row that may be bad otherwise; empty if it has none."""
        try:
            return self._identify(row, self._values(row))
        except RowError:
            return ""

    def _values(self, row: SourceRow) -> dict[str, Any]:
        if not row.blank_is_absent:
            return row.values
        return {key: value for key, value in row.values.items() if value != "" or key in self._text_keys}

    def _identify(self, row: SourceRow, values: Mapping[str, Any]) -> str:
        """Id of a row: its own, or the name of its image."""
        own = _word(values, self._key["id"])
        if own is not None:
            return own
        if row.name is not None:
            return row.name
        image = values.get(self._key["image"])
        return image if isinstance(image, str) else ""

    def _image(self, row: SourceRow, values: Mapping[str, Any], check: bool) -> ImageRef | None:
        if row.image is not None:
            return row.image
        key = self._key["image"]
        name = values.get(key)
        if name is None:
            if key not in self._named:
                have = sorted(str(key) for key in values)
                raise RowError(f"there is no {key!r}. Name the image file; the keys of this row are {have}.")
            return None  # already reported
        if not isinstance(name, str):
            raise RowError(f"{key!r} is {name!r:.80}. It must be the path of an image file.")
        return ImageRef(self.folder.locate(name, check=check))

    def _texts(self, row: SourceRow, values: Mapping[str, Any]) -> Iterator[Text]:
        lang = _word(values, self._key["lang"]) or "und"
        if row.texts is not None:
            yield from parse_texts(row.texts, "text", lang)
            return
        keys = [key for key in self._text_keys if values.get(key) is not None]
        if len(keys) > 1:
            raise RowError(f"both {keys[0]!r} and {keys[1]!r} hold texts. Keep one of them.")
        for key in keys:
            yield from parse_texts(values[key], key, lang)

    def _labels(self, values: Mapping[str, Any]) -> dict[str, Any]:
        label, labels = values.get(self._key["label"]), values.get("labels")
        if labels is not None and not isinstance(labels, Mapping):
            raise RowError(f"'labels' is {labels!r:.80}. It must be a table of names and values; one value is 'label'.")
        found = {} if labels is None else {str(name): value for name, value in labels.items() if value is not None}
        if label is not None:
            if "label" in found:
                raise RowError("'label' and 'labels' both hold 'label'. Keep one of them.")
            found = {"label": label, **found}
        for name, value in found.items():
            if not all(_is_plain(item) for item in (value if isinstance(value, list) else [value])):
                raise RowError(f"the label {name!r} is {value!r:.80}. It must be a text, a number, or a list of them.")
        return found

    def _meta(self, values: Mapping[str, Any]) -> dict[str, Any]:
        meta = values.get("meta")
        if meta is not None and not isinstance(meta, Mapping):
            raise RowError(f"'meta' is {meta!r:.80}. It must be a table of names and values.")
        found = {} if meta is None else {str(name): value for name, value in meta.items()}
        for key, value in values.items():
            if key not in self._used and value is not None:
                if key in found:
                    raise RowError(f"{key!r} is in the row and in its 'meta'. Keep one of them.")
                found[key] = value
        return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _word(values: Mapping[str, Any], key: str) -> str | None:
    """A name: a text or a whole number; None where it is absent."""
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowError(f"{key!r} is {value!r:.80}. It must be a text or a whole number.")
    if not value.strip() or "\0" in value:
        raise RowError(f"{key!r} is {value!r:.80}. Fill it in, or leave the key out.")
    return value
