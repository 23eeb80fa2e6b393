"""Every element of a header, at any depth, whatever is wrong with some of them."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag


def walk(dataset: Dataset) -> Iterator[tuple[BaseTag, DataElement | None]]:
    """Parse element by element.

    Yields:
        Tag and element; None for one that cannot be parsed, such as words where numbers must be.
    """
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # pydicom lets whatever its parsers raise through
            yield tag, None
            continue
        yield tag, element
        if element.VR == "SQ":
            for item in element.value or ():
                yield from walk(item)
