"""Class names of scene data sets as a person would write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_lowercase

JOINED = {
    "bareland": "bare land",
    "baseballfield": "baseball field",
    "denseresidential": "dense residential",
    "mediumresidential": "medium residential",
    "railwaystation": "railway station",
    "sparseresidential": "sparse residential",
    "storagetanks": "storage tanks",
}
"""Class names of AID and RSICD that file names write as one word."""


def readable_scene(name: str) -> str:
    """The words of a class name: `AnnualCrop` is `annual crop`, `storagetanks` is `storage tanks`."""
    if name.lower() in JOINED:
        return JOINED[name.lower()]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[\s_-]+", words)).strip().lower()


def readable_scenes(names: Sequence[str]) -> dict[str, str]:
    """Readable names of all classes of a data set.

    Classes that are numbered by letters, as `aGrass`, `bField` to `gParking` of RSSCN7, lose their letter.
    """
    ordered = sorted(names)
    lettered = len(ordered) > 1 and all(
        re.match(rf"{letter}[A-Z]", name) for letter, name in zip(ascii_lowercase, ordered, strict=False)
    )
    lettered = lettered and len(ordered) <= len(ascii_lowercase)
    return {name: readable_scene(name[1:] if lettered else name) for name in ordered}
