"""Regions of several images in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from vlcore.data.pixels import orientation
from vlcore.data.record import ImageRef, Record
from vlcore.data.regions import RegionReader, Regions
from vlcore.errors import ConfigurationError
from vlcore.types import VisualTokens


class RegionImages:
    """The regions of a table's images, read when a batch is put together.

    Args:
        records: in the order of the table's images.
        reader: reads the regions of one.
    """

    def __init__(self, records: Sequence[Record], reader: RegionReader) -> None:
        self.records = records
        self.reader = reader

    def __call__(self, rows: NDArray[np.int64]) -> VisualTokens:
        """Regions of the images in `rows` `[B]`."""
        found = (self.records[row] for row in rows.tolist())
        return pad_regions([self.reader(record, upright_size(record.image)) for record in found])


def upright_size(image: ImageRef) -> tuple[int, int] | None:
    """Width and height of an image file as it is shown, from its header alone; None where it is inside an archive."""
    if image.member is not None or not image.path.is_file():
        return None
    try:
        with Image.open(image.path) as opened:
            width, height = opened.size
            turned = orientation(opened) >= 5
    except (OSError, Image.DecompressionBombError):
        return None  # what is wrong with an image is told where images are read
    return (height, width) if turned else (width, height)


def pad_regions(images: Sequence[Regions]) -> VisualTokens:
    """Put the regions of B images together, padded to the most of any, at least one.

    Raises:
        ConfigurationError: if some have class probabilities and some have not, or of another number of classes.
    """
    most = max(1, *(len(regions.features) for regions in images))
    counts = torch.tensor([len(regions.features) for regions in images])
    mask = torch.arange(most) < counts[:, None]
    filled = [regions for regions in images if len(regions.features)]
    kinds = {None if one.class_probabilities is None else one.class_probabilities.shape[1] for one in filled}
    if len(kinds) > 1:
        raise ConfigurationError(
            f"Images of one batch have class probabilities of {sorted(map(str, kinds))} classes: all must come from "
            f"one detector."
        )
    classes = next(iter(kinds), None)
    return VisualTokens(
        features=_padded([regions.features for regions in images], most),
        mask=mask,
        boxes=_padded([regions.boxes for regions in images], most),
        class_probabilities=None
        if classes is None
        else _padded(
            [
                np.zeros((0, classes), np.float32) if one.class_probabilities is None else one.class_probabilities
                for one in images
            ],
            most,
        ),
    )


def _padded(tables: Sequence[NDArray[np.float32]], most: int) -> torch.Tensor:
    """`[B, most, …]`, zeros behind the end of each."""
    out = np.zeros((len(tables), most, tables[0].shape[1]), dtype=np.float32)
    for row, table in enumerate(tables):
        out[row, : len(table)] = table
    return torch.from_numpy(out)
