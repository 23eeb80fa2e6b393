"""Splits as published and without their leaks, and the counts of what a reader leaves out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from vlcore.data.record import Record
from vlcore.errors import ConfigurationError

Protocol = Literal["paper", "strict"]
"""`paper`: the split that published scores use. `strict`: the same without images or patients on both sides."""

SPLITS = {"training": "train", "valid": "val", "validate": "val", "validation": "val"}
"""How sources name the splits that vlcore calls `train` and `val`."""


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse an option that is none of its choices.

    Raises:
        ConfigurationError: naming the option, its value and the choices.
    """
    if value not in (known := list(choices)):
        raise ConfigurationError(f"{name}={value!r}: choose one of {', '.join(known)}.")


def without_leaks(path: Path, records: list[Record]) -> list[Record]:
    """Leave out, counted, what shares its group with a record that is held out.

    Test keeps everything, val what is not in the groups of test, train what is in neither. Records without a group
    or split stay.
    """
    test = {record.group for record in records if record.split == "test"} - {None}
    held_out = {"val": test, "train": test | {record.group for record in records if record.split == "val"} - {None}}
    kept = [record for record in records if record.group not in held_out.get(record.split or "", ())]
    tell_counts(path, {"records of train or val left out, whose group is also held out": len(records) - len(kept)})
    return kept


def tell_counts(path: Path, counts: Mapping[str, int]) -> None:
    """Warn of everything that a reader left out or found missing.

    Args:
        path: source.
        counts: by what was met, in words; what was not met is not told.
    """
    told = [f"{count} {what}" for what, count in counts.items() if count]
    if told:
        warnings.warn(f"{path}: {'; '.join(told)}.", stacklevel=3)
