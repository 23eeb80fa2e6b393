"""Whether a file says that it is de-identified, and what in it could identify somebody.

Sources: PS3.3 C.7.1.1 (marks), PS3.15 Annex E (profiles), PS3.16 CID 7050 (their codes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydicom.config import IGNORE
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import UID

from vlcore_medical.dicom.attributes import items
from vlcore_medical.dicom.elements import walk

PROFILE_CODES = frozenset(str(code) for code in range(113100, 113113))
"""Codes of the scheme DCM for the de-identification profile and its options."""

KINDS = {
    "PN": "names",
    **dict.fromkeys(("DA", "DT", "TM", "AS"), "dates and ages"),
    "UI": "unique identifiers",
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UT"), "texts"),
    **dict.fromkeys(("AE", "UR"), "addresses"),
    "UN": "unknown",
}
"""What an attribute may hold, by its value representation."""

Answer = Literal["yes", "no", "not said"]


def is_marked(dataset: Dataset) -> bool:
    """Whether the file says that the identity of the patient was removed.

    Patient Identity Removed decides; where it is absent, a De-identification Method Code of the standard does. A method
    in free text alone says nothing certain.
    """
    removed = str(dataset.get("PatientIdentityRemoved") or "").upper()
    if removed:
        return removed == "YES"
    return any(
        item.get("CodingSchemeDesignator") == "DCM" and str(item.get("CodeValue")) in PROFILE_CODES
        for item in items(dataset, "DeidentificationMethodCodeSequence")
    )


def answer(dataset: Dataset, keyword: str) -> Answer:
    """What an attribute of YES or NO says, such as BurnedInAnnotation."""
    value = str(dataset.get(keyword) or "").upper()
    return "yes" if value == "YES" else "no" if value == "NO" else "not said"


def identifying(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Attributes that hold something that could identify somebody, at any depth.

    Yields:
        Kind and name of an attribute, never its value. Private attributes have the kind `private` and no name: theirs
        can be a hospital's.
    """
    for tag, element in walk(dataset):
        if tag.is_private:
            yield "private", "private attributes"
            continue
        name = keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"
        if element is None:
            yield "unknown", name
            continue
        kind = KINDS.get(element.VR)
        # Group 0012 tells of trials and de-identification itself; only its marks are left out.
        if kind is None or element.is_empty or name.startswith("Deidentification"):
            continue
        if element.VR == "UI" and all(map(_is_of_the_standard, [element.value] if element.VM == 1 else element.value)):
            continue
        yield kind, name


def _is_of_the_standard(identifier: str) -> bool:
    """Whether a unique identifier is in the standard's own list: a SOP class, not an instance."""
    return UID(identifier, IGNORE).name != identifier
