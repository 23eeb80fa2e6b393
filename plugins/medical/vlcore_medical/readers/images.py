"""Where a data set keeps an image whose name has no ending, or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlcore.data.reader import Row, RowError
from vlcore.data.record import ImageRef
from vlcore.errors import UnsafePathError
from vlcore.files import contained


def find_image(row: Row, names: Sequence[str]) -> tuple[str, ImageRef]:
    """The first of several names that exists in the folder of images, and its image.

    Args:
        row: whose folder is looked in.
        names: relative to that folder, in the order of preference.

    Raises:
        RowError: if none exists, or one leads out of the folder.
    """
    for name in names:
        try:
            path = contained(row.folder, name)
        except UnsafePathError as error:
            raise RowError(str(error)) from None
        if path.is_file():
            return name, ImageRef(path)
    tried = " or ".join(map(repr, names))
    raise RowError(f"the image {tried} is not in {row.folder}. Restore the file or remove the row.")


class ImageFiles:
    """Finds images by their file names, wherever under a folder they lie.

    Args:
        folder: that is searched, once.
        suffixes: of the files, in lower case with the dot.
    """

    def __init__(self, folder: Path, suffixes: Sequence[str]) -> None:
        self._places: dict[str, list[str]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in suffixes:
                self._places.setdefault(path.name, []).append(path.relative_to(folder).as_posix())

    def find(self, row: Row, names: Sequence[str]) -> ImageRef:
        """The image of the first of several file names that is there.

        Raises:
            RowError: if none is there, or one is there twice.
        """
        places = next((self._places[name] for name in names if name in self._places), [])
        if len(places) > 1:
            raise RowError(f"the image {names[0]!r} is there twice: {places[0]} and {places[1]}. Remove one of them.")
        return find_image(row, places or names)[1]
