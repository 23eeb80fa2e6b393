"""Reader of SIIM-ACR Pneumothorax: chest X-rays with run-length encoded masks.

Layout: `train-rle.csv` with `ImageId` and ` EncodedPixels` (with a space), several rows for an image with several
masks and `-1` for none, beside `<ImageId>.dcm` or `.png` at any depth.

Source: SIIM-ACR Pneumothorax Segmentation Challenge, 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore_medical.readers.images import ImageFiles
from vlcore_medical.readers.tables import csv_rows

SIDE = 1024
"""Height and width of every image of the challenge, in pixels."""
_NONE = "-1"


def read_siim(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images; the table does not name patients, so there is no group.

    Args:
        path: the CSV file.
        image_root: folder that the images lie under, at any depth; that of the file if left out.

    Returns:
        One record for each image with the label `pneumothorax` (true or false) and, in `meta`, `rle`: its masks as the
        source encodes them, for `decode_rle`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    folder = image_root or path.parent
    files = ImageFiles(folder, (".dcm", ".png"))
    images: dict[str, tuple[str, Any]] = {}
    bad: list[tuple[str, Any]] = []
    for place, values in csv_rows(path, ["ImageId", "EncodedPixels"]):
        if isinstance(values, RowError) or "ImageId" not in values:
            bad.append((place, values))
        else:
            _, row = images.setdefault(values["ImageId"], (place, {"ImageId": values["ImageId"], "rle": []}))
            row["rle"].append(values.get("EncodedPixels", "").strip())
    return collect_records(path, [*bad, *images.values()], folder, lambda row: _record(row, files))


def _record(row: Row, files: ImageFiles) -> Record:
    name, masks = row.get("ImageId", str), row.get("rle", list)
    if _NONE in masks and len(masks) > 1:
        raise RowError(f"the image {name!r} has both masks and {_NONE!r} for none. Remove one of the rows.")
    masks = [mask for mask in masks if mask != _NONE]
    for mask in masks:
        _runs(mask, SIDE * SIDE)
    return Record(
        id=name,
        image=files.find(row, [f"{name}.dcm", f"{name}.png"]),
        labels={"pneumothorax": bool(masks)},
        meta={"rle": masks} if masks else {},
    )


def decode_rle(rle: str, height: int = SIDE, width: int = SIDE) -> NDArray[np.bool_]:
    """A mask from its runs, `[height, width]` bool.

    Pairs of a step and a length: every step counts from the end of the run before, not from the beginning of the
    image, and pixels go down the columns.

    Raises:
        RowError: if it is no list of pairs of numbers, or runs over the end of the image.
    """
    mask = np.zeros(height * width, dtype=bool)
    for start, length in _runs(rle, height * width):
        mask[start : start + length] = True
    return mask.reshape(width, height).T


def _runs(rle: str, pixels: int) -> list[tuple[int, int]]:
    """First pixel and length of every run."""
    numbers = rle.split()
    if not numbers or len(numbers) % 2 or not all(number.isdecimal() for number in numbers):
        raise RowError(f"the mask {rle!r:.40} must be pairs of whole numbers: a step and a length.")
    runs, position = [], 0
    for step, length in zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True):
        runs.append((position + step, length))
        position += step + length
    if position > pixels:
        raise RowError(f"the mask {rle!r:.40} ends at pixel {position} of {pixels}. Its steps must be relative.")
    return runs
