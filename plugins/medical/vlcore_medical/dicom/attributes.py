"""Values of a header, checked; in multi-frame objects they can stand in functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset

from vlcore_medical.dicom.image import DicomValueError


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; none where it is absent or empty.

    Raises:
        DicomValueError: if the element is no sequence.
    """
    value = dataset.get(keyword)
    if value is None or value == b"" or value == "":
        return []
    if isinstance(value, (str, bytes, int, float)):
        raise DicomValueError(f"{keyword} is no sequence of items. Export the file again.")
    return [item for item in value if isinstance(item, Dataset)]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Numbers of an element; none where it is absent or empty.

    Raises:
        DicomValueError: if one is no finite number.
    """
    value: Any = None
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return []
        if isinstance(value, bytes):
            raise TypeError("bytes")  # of an unknown representation; read one by one they would be numbers
        values = [float(part) for part in ([value] if isinstance(value, (str, int, float)) else value)]
    except (TypeError, ValueError):
        shown = dataset.get_item(keyword).value if value is None else value
        raise DicomValueError(f"{keyword} is {shown!r:.60}. It must hold numbers.") from None
    if not all(map(math.isfinite, values)):
        raise DicomValueError(f"{keyword} is {value!r:.60}. It must hold finite numbers.")
    return values


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """The one number of an element.

    Raises:
        DicomValueError: if it holds several, or no number.
    """
    values = numbers(dataset, keyword)
    if len(values) > 1:
        raise DicomValueError(f"{keyword} holds {len(values)} numbers. It must hold one.")
    return values[0] if values else default


def functional_group(dataset: Dataset, frame: int, sequence: str) -> Dataset:
    """Where the attributes of a functional group stand: the frame's own, the shared ones, or the object itself.

    Args:
        dataset: the object.
        frame: from 0.
        sequence: keyword of the group, such as `FrameVOILUTSequence`.
    """
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    for groups in per_frame[frame : frame + 1] + items(dataset, "SharedFunctionalGroupsSequence"):
        if found := items(groups, sequence):
            return found[0]
    return dataset
