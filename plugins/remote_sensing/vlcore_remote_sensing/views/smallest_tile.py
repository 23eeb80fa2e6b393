"""How small the stored tiles are, before they are brought to a tower's size."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vlcore.data.decode import read_image_bytes
from vlcore.data.record import Record
from vlcore.errors import ImageDecodeError

LOOKED_AT = 256
"""Tiles whose size is read, evenly over the data; those of a data set are mostly of one size."""


def smallest_tile(records: Sequence[Record]) -> int | None:
    """Shorter side in pixels of the smallest of some tiles; only their headers are decoded.

    A tile that cannot be read is passed over here: what becomes of it is for the reading of the batches to say.

    Args:
        records: at least one.

    Returns:
        A number of pixels, or None where no tile could be read.
    """
    places = np.unique(np.linspace(0, len(records) - 1, min(LOOKED_AT, len(records))).astype(np.int64))
    sides = [side for place in places.tolist() if (side := _shorter_side(records[place])) is not None]
    return min(sides, default=None)


def _shorter_side(record: Record) -> int | None:
    if record.image.window is not None:
        return min(record.image.window[2:])
    try:
        with Image.open(io.BytesIO(read_image_bytes(record.image, record.id))) as image:
            return min(image.size)
    except (ImageDecodeError, OSError, ValueError, Image.DecompressionBombError):
        return None
