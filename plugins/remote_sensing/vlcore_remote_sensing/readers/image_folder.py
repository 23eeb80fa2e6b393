"""Where the images of a data set lie: beside its annotations, or in one of the sub-folders of its copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlcore.errors import UnsafePathError
from vlcore.files import contained


def image_folder(root: Path, first: object, names: Sequence[str]) -> Path:
    """The folder that the image names start from.

    Args:
        root: folder of the data set.
        first: name of its first image, as the source has it; the folder that holds it is the right one.
        names: of sub-folders to try after the root itself.

    Returns:
        The first folder with that image; the root where none has it, so that the image is reported as missing.
    """
    if not isinstance(first, str):
        return root
    for name in ("", *names):
        try:
            if contained(root / name, first).is_file():
                return root / name
        except UnsafePathError:
            break  # reported with its row
    return root
