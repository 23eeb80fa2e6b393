"""Lookup tables for grey values (PS3.3 C.11.1.1 and C.11.2.1.1).

Own code: pydicom 3.0 keeps table indices in the type of the pixels or of the table, where they overflow, and knows no
modality tables of 9 to 15 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from vlcore_medical.dicom.attributes import numbers
from vlcore_medical.dicom.image import DicomValueError


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table from grey values to grey values.

    Attributes:
        first: input value of the first entry; lower ones get the first entry too, and likewise at the end.
        bits: of an entry.
        entries: `[N]`.
        explanation: of the file, such as NORMAL or HARDER.
    """

    first: int
    bits: int
    entries: NDArray[np.uint16]
    explanation: str = ""

    @property
    def top(self) -> int:
        """Highest value an entry can have; some writers tell fewer bits than they use."""
        return max((1 << self.bits) - 1, int(self.entries.max()))

    def look_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries of values, any shape."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return np.asarray(self.entries[index], dtype=np.float64)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries of values as brightness from 0 to 1."""
        return self.look_up(values) / self.top


def lookup_table(item: Dataset, signed: bool, little_endian: bool) -> LookupTable:
    """Read an item of a Modality LUT or VOI LUT sequence.

    Args:
        item: with LUT Descriptor and LUT Data.
        signed: whether input values can be negative; then a first value above 32767 is a negative one, which
            implicit transfer syntaxes cannot tell apart.
        little_endian: byte order of the file.

    Raises:
        DicomValueError: if the descriptor is no descriptor, or the data are longer or shorter than it says.
    """
    descriptor = [int(value) for value in numbers(item, "LUTDescriptor")]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise DicomValueError(
            f"LUTDescriptor is {descriptor}. It must be the number of entries, the first input value, and 8 to 16 bits."
        )
    count, first, bits = descriptor[0] % 2**16 or 2**16, descriptor[1], descriptor[2]
    entries = _entries(item, count, bits, little_endian)
    return LookupTable(
        first - 2**16 if signed and first >= 2**15 else first, bits, entries, str(item.get("LUTExplanation") or "")
    )


def _entries(item: Dataset, count: int, bits: int, little_endian: bool) -> NDArray[np.uint16]:
    data = item.get("LUTData")
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2").astype(np.uint16)
    else:
        words = np.array([int(value) % 2**16 for value in numbers(item, "LUTData")], dtype=np.uint16)
    if len(words) == count:
        return words
    if bits == 8 and len(words) == (count + 1) // 2:
        # Two entries of 8 bits to a word; in files of either byte order the first is the low byte (PS3.5 Annex D).
        return words.astype("<u2").view(np.uint8)[:count].astype(np.uint16)
    raise DicomValueError(f"LUTData holds {len(words)} entries, its descriptor says {count}. Export the file again.")
