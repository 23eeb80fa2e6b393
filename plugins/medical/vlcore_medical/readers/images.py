"""Where a data set keeps an image whose name has no ending, or several."""

from __future__ import annotations

from collections.abc import Sequence

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
