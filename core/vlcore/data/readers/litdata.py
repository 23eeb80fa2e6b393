"""Folders that litdata optimised: chunks of items and an `index.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from vlcore.data.litdata_items import INDEX, litdata_items
from vlcore.data.readers.rows import SourceRow
from vlcore.data.record import ImageRef
from vlcore.errors import ManifestError, Problem
from vlcore.files import contained


class LitDataReader:
    """Reads items that are dictionaries with an encoded image in bytes; other keys are as in JSON Lines.

    The id is the item's number unless it has an `id`. Images that litdata decodes by itself (`jpeg`, `pil`) are
    refused: they would have lost their orientation and colour profile.

    Args:
        path: the folder.
        columns: own names of keys, by role.

    Raises:
        ManifestError: if chunks are missing.
    """

    format = "litdata"

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self.root = path
        self._index = path / INDEX
        self._image = columns.get("image", "image")
        chunks = json.loads(self._index.read_text(encoding="utf-8"))["chunks"]
        self.files = (self._index, *(contained(path, chunk["filename"]) for chunk in chunks))
        if missing := [file.name for file in self.files if not file.is_file()]:
            mend = "there is no such chunk. Copy the folder again."
            raise ManifestError(path, [Problem(name, mend) for name in missing])

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row an item."""
        items = litdata_items(self._index)
        for number in range(len(items)):
            place = f"item {number}"
            item = items[number]
            if not isinstance(item, dict):
                yield Problem(place, f"is a {type(item).__name__}. Write dictionaries with an image and its texts.")
                continue
            image = item.get(self._image)
            if not isinstance(image, bytes):
                found = "missing" if image is None else f"a {type(image).__name__}"
                yield Problem(
                    place,
                    f"{self._image!r} is {found}. Write the encoded file: path.read_bytes(), not a decoded image.",
                )
                continue
            values = {key: value for key, value in item.items() if key != self._image}
            yield SourceRow(
                place, values, image=ImageRef(self._index, member=f"{self._image}:{number}"), name=str(number)
            )


def is_litdata_folder(path: Path) -> bool:
    """Whether a folder holds an index of litdata's."""
    try:
        found = json.loads((path / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(found, dict)
        and isinstance(found.get("chunks"), list)
        and "data_format" in (found.get("config") or {})
    )
