"""The two nomenclatures of BigEarthNet: 43 classes of CORINE Land Cover and the 19 that they were joined into.

Source: G. Sumbul et al., BigEarthNet-MM, arXiv 2105.07921.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from vlcore.data.reader import RowError

_FARMED_NATURE = "Land principally occupied by agriculture, with significant areas of natural vegetation"

CLASSES_19: dict[str, tuple[str, ...]] = {
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
    "Industrial or commercial units": ("Industrial or commercial units",),
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Permanent crops": (
        "Vineyards",
        "Fruit trees and berry plantations",
        "Olive groves",
        "Annual crops associated with permanent crops",
    ),
    "Pastures": ("Pastures",),
    "Complex cultivation patterns": ("Complex cultivation patterns",),
    _FARMED_NATURE: (_FARMED_NATURE,),
    "Agro-forestry areas": ("Agro-forestry areas",),
    "Broad-leaved forest": ("Broad-leaved forest",),
    "Coniferous forest": ("Coniferous forest",),
    "Mixed forest": ("Mixed forest",),
    "Natural grassland and sparsely vegetated areas": ("Natural grassland", "Sparsely vegetated areas"),
    "Moors, heathland and sclerophyllous vegetation": ("Moors and heathland", "Sclerophyllous vegetation"),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Beaches, dunes, sands": ("Beaches, dunes, sands",),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water courses", "Water bodies"),
    "Marine waters": ("Coastal lagoons", "Estuaries", "Sea and ocean"),
}
"""Each of the 19 classes with those of the 43 that it joins, in the published order."""

DROPPED = (
    "Road and rail networks and associated land",
    "Port areas",
    "Airports",
    "Mineral extraction sites",
    "Dump sites",
    "Construction sites",
    "Green urban areas",
    "Sport and leisure facilities",
    "Bare rock",
    "Burnt areas",
    "Intertidal flats",
)
"""Those of the 43 that no class of the 19 has."""

_JOINED = {old: new for new, olds in CLASSES_19.items() for old in olds}


def joined_labels(labels: Iterable[str]) -> list[str]:
    """The classes of the 19 that labels of the 43 come to, in the published order, each once.

    Raises:
        RowError: for a label that is none of the 43.
    """
    known = [*_JOINED, *DROPPED]
    found = set()
    for label in labels:
        require_class(label, known, 43)
        found.add(_JOINED.get(label))
    return [name for name in CLASSES_19 if name in found]


def require_class(label: object, known: Iterable[str], count: int) -> None:
    """Refuse a label that a nomenclature does not have.

    Raises:
        RowError: with the nearest class.
    """
    names = list(known)
    if label not in names:
        near = difflib.get_close_matches(str(label), names, n=1)
        offer = f"Did you mean {near[0]!r}?" if near else "Restore the file."
        raise RowError(f"the label {label!r:.80} is none of BigEarthNet's {count} classes. {offer}")
