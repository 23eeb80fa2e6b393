"""What readers of data set layouts are built from: rows with their places, every problem listed together.

A reader turns each row of a source into a `Record`; it says what is wrong with one row by raising `RowError`, and
`collect_records` gathers all of them into one `ManifestError` with places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vlcore.data.record import ImageRef
from vlcore.errors import ConfigurationError, ManifestError, Problem, UnsafePathError
from vlcore.files import contained

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


class RowError(ValueError):
    """What is wrong with one row, with the offending value and the mend."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source.

    Attributes:
        values: as read.
        folder: that image paths start from.
    """

    values: Mapping[str, Any]
    folder: Path

    def get(self, name: str, kind: type, default: Any = ...) -> Any:
        """A value of a certain type.

        Args:
            name: key.
            kind: str, int, float, bool, list or dict; whole numbers are floats too, truth values are no numbers.
            default: where the key is absent or null; without it the key is required.

        Raises:
            RowError: if it is missing or of another type.
        """
        value = self.values.get(name)
        if value is None:
            if default is ...:
                raise RowError(f"{name!r} is missing. It must be {_NAMES[kind]}.")
            return default
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise RowError(f"{name!r} is {value!r:.80}. It must be {_NAMES[kind]}.")
        return value

    def image(self, name: str) -> ImageRef:
        """The image file of a key or path, checked to exist inside the folder.

        Args:
            name: path relative to the folder, `/` between its parts.

        Raises:
            RowError: if it leads out of the folder or is not there.
        """
        try:
            path = contained(self.folder, name)
        except UnsafePathError as error:
            raise RowError(str(error)) from None
        if not path.is_file():
            raise RowError(f"the image {name!r} is not in {self.folder}. Restore the file or remove the row.")
        return ImageRef(path)


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Rows of a JSON Lines file with their places; a line that is no JSON comes as a `RowError`.

    Raises:
        ConfigurationError: if the file does not exist.
    """
    require_file(path)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield f"line {number}", json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are both
                yield f"line {number}", RowError(f"is not JSON in UTF-8: {error}")


def require_file(path: Path) -> None:
    """Say plainly that a source is not there.

    Raises:
        ConfigurationError: if the path is no file.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path} is no file. Give the path of the data set's annotation file.")


class Identified(Protocol):
    """What has an id, unique within its source: a `Record`, or a row of another kind."""

    @property
    def id(self) -> str:
        """Of the row."""


T = TypeVar("T", bound=Identified)


def collect_records(path: Path, rows: Iterable[tuple[str, Any]], folder: Path, build: Callable[[Row], T]) -> list[T]:
    """Build a record from every row, or list everything that is wrong.

    Args:
        path: source, for messages.
        rows: place and value of each row.
        folder: that image paths start from.
        build: makes a record; raises `RowError` on a bad row.

    Raises:
        ManifestError: if any row is bad, an id comes twice, or there is no row at all.
    """
    records: list[T] = []
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for place, values in rows:
        try:
            if isinstance(values, RowError):
                raise values
            if not isinstance(values, dict):
                raise RowError(f"is {values!r:.80}. It must be a JSON object.")
            record = build(Row(values, folder))
            if (first := places.setdefault(record.id, place)) != place:
                raise RowError(f"the id {record.id!r} is also on {first}. Remove one of them.")
        except RowError as error:
            problems.append(Problem(place, str(error)))
        else:
            records.append(record)
    if not records and not problems:
        problems.append(Problem("the file", "holds no rows."))
    if problems:
        raise ManifestError(path, problems)
    return records
