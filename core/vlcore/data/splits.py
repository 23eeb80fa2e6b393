"""Splits that keep groups together and do not move when rows are added."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from vlcore.data.record import Record
from vlcore.data.source import read_bytes
from vlcore.errors import ConfigurationError


def group_key_of(record: Record) -> str:
    """What a split keeps together: the record's group, or the record alone if it has none."""
    return f"group:{record.group}" if record.group is not None else f"id:{record.id}"


def assign_splits(
    records: Iterable[Record], fractions: Mapping[str, float], *, seed: int = 0, same_images_together: bool = False
) -> list[str]:
    """Give every record a split.

    Each group is hashed with the seed to a number between 0 and 1, and the fractions divide that range in their
    order. So a group's split depends on nothing but its name, the seed and the fractions: rows that are added later,
    or another order, move none. The price is that the shares are met by chance: of n groups, a fraction f gets
    f·n ± sqrt(f·(1-f)·n), and records only as the sizes of the groups allow.

    Args:
        records: to divide.
        fractions: share of the groups by split, in a fixed order; they sum to 1.
        seed: for another division.
        same_images_together: also keep groups together that share an image of equal bytes; every file is read. A new
            row that joins two groups can then move one of them.

    Returns:
        The split of each record, in order.

    Raises:
        ConfigurationError: if a fraction is not between 0 and 1, they do not sum to 1, or a split stays empty.
    """
    if not fractions or any(not 0 < share <= 1 for share in fractions.values()):
        raise ConfigurationError(f"fractions={dict(fractions)}: each must be above 0 and at most 1.")
    if not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise ConfigurationError(f"fractions={dict(fractions)} sum to {sum(fractions.values()):g}; they must sum to 1.")
    records = list(records)
    keys = _keys(records, same_images_together)
    names, bounds = list(fractions), list(accumulate(fractions.values()))
    bounds[-1] = 1.0  # rounding must leave no gap at the end
    by_key = {key: names[_interval(_uniform("split", seed, key), bounds)] for key in set(keys)}
    if empty := [name for name in names if name not in by_key.values()]:
        raise ConfigurationError(
            f"The splits {empty} got none of the {len(by_key)} groups ({len(records)} records). Add data, or choose "
            f"other fractions or another seed than {seed}."
        )
    return [by_key[key] for key in keys]


def hold_out(
    records: Iterable[Record], fraction: float, seed: int = 0, *, same_images_together: bool = False
) -> tuple[list[Record], list[Record]]:
    """Hold a part out of a training set, by group; independent of how `assign_splits` made that set.

    Args:
        records: to divide; what splits they name does not matter.
        fraction: share of the groups to hold out.
        seed: for another division.
        same_images_together: as for `assign_splits`.

    Returns:
        The records that are kept and those held out, each in order.

    Raises:
        ConfigurationError: if the fraction is not between 0 and 1, or either part is empty.
    """
    if not 0 < fraction < 1:
        raise ConfigurationError(f"fraction={fraction}: choose more than 0 and less than 1.")
    records = list(records)
    keys = _keys(records, same_images_together)
    held = {key for key in set(keys) if _uniform("hold out", seed, key) < fraction}
    kept_part = [record for record, key in zip(records, keys, strict=True) if key not in held]
    held_part = [record for record, key in zip(records, keys, strict=True) if key in held]
    if not kept_part or not held_part:
        raise ConfigurationError(
            f"Holding out {fraction:g} of {len(set(keys))} groups left {len(kept_part)} records and held out "
            f"{len(held_part)}. Add data, or choose another fraction or another seed than {seed}."
        )
    return kept_part, held_part


def _uniform(purpose: str, seed: int, key: str) -> float:
    """A number in [0, 1) for a key. Another purpose gives an independent one.

    Without the purpose, a part held out of a training set would be taken from one end of the range that made it.
    """
    digest = hashlib.sha256(f"{purpose}\0{seed}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48  # 48 bits: exact in a float, and never rounded up to 1


def _interval(value: float, bounds: Sequence[float]) -> int:
    return next(position for position, bound in enumerate(bounds) if value < bound)


def _keys(records: Sequence[Record], same_images: bool) -> list[str]:
    """What each record is kept together by."""
    keys = [group_key_of(record) for record in records]
    if not same_images:
        return keys
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while (parent := parents.get(key, key)) != key:
            parents[key] = parents.get(parent, parent)  # halve the path
            key = parent
        return key

    first_with: dict[bytes, str] = {}
    for record, key in zip(records, keys, strict=True):
        content = hashlib.sha256(read_bytes(record.image)).digest() + str(record.image.window).encode()
        one, other = root(key), root(first_with.setdefault(content, key))
        # The first name in the alphabet stands for all, whatever the order of the records.
        parents[max(one, other)] = min(one, other)
    return [root(key) for key in keys]
