"""Images of different splits that look nearly the same, found without comparing every pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from vlcore.data.perceptual_hash import THUMBNAIL, Appearance
from vlcore.errors import ConfigurationError

LARGEST_DISTANCE = 8
"""Beyond it, hashes of different images agree by chance."""
SAME_LOOK = 0.7
"""Least correlation of the thumbnails of a match. Copies that were compressed, scaled, brightened or cropped by 2 %
lie above 0.87; images whose hashes agree by their noise lie around 0."""
SAME_COLOUR = 2
"""Most levels, of 255, by which each channel of two flat images may differ."""
_BLOCK = 2048  # images compared at once: 4 million distances


def check_distance(max_distance: int) -> None:
    """Refuse a number of bits that is out of range.

    Raises:
        ConfigurationError: unless it is 0 to `LARGEST_DISTANCE`.
    """
    if not 0 <= max_distance <= LARGEST_DISTANCE:
        raise ConfigurationError(f"max_distance={max_distance}: choose 0 to {LARGEST_DISTANCE} bits.")


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two images of different splits that look alike; positions in the order they were added."""

    first: int
    second: int
    distance: int


@dataclass
class NearDuplicates:
    """Collects looks, 300 bytes each, then finds matches.

    Images of equal bytes are no matches here: they are found by their content.
    """

    _hashes: list[int] = field(default_factory=list)
    _contents: list[int] = field(default_factory=list)
    _splits: list[int] = field(default_factory=list)
    _flat: list[bool] = field(default_factory=list)
    _colours: list[tuple[int, int, int]] = field(default_factory=list)
    _thumbnails: bytearray = field(default_factory=bytearray)

    def add(self, look: Appearance, content: int, split: int) -> None:
        """Add an image; `content` is a hash of its bytes."""
        self._hashes.append(look.hash)
        self._contents.append(content)
        self._splits.append(split)
        self._flat.append(look.flat)
        self._colours.append(look.colour)
        self._thumbnails += look.thumbnail

    def find(self, max_distance: int, examples: int) -> tuple[NDArray[np.bool_], list[NearPair]]:
        """Find all images with a match in another split.

        Hashes that differ in at most d of 64 bits agree entirely in one of d + 1 bands, so only images that share a
        band are compared. Flat images have no meaningful hash; they are compared by colour.

        Args:
            max_distance: bits that may differ, 0 to `LARGEST_DISTANCE`.
            examples: pairs to return at most.

        Returns:
            `[N]` whether each image has a match, and some pairs.

        Raises:
            ConfigurationError: if the distance is out of range.
        """
        check_distance(max_distance)
        found = np.zeros(len(self._hashes), dtype=bool)
        pairs: list[NearPair] = []
        for first, second, distance in self._structured(found, max_distance):
            room = examples - len(pairs)
            pairs += [NearPair(*one) for one in np.stack([first, second, distance], axis=1)[: max(room, 0)].tolist()]
        for one, other in self._flat_pairs():
            if len(pairs) < examples and not (found[one] and found[other]):
                pairs.append(NearPair(one, other, 0))
            found[[one, other]] = True
        return found, pairs

    def _structured(
        self, found: NDArray[np.bool_], max_distance: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Mark images with a match; yield pairs `(first, second, distance)` of which at least one is new."""
        structured = np.flatnonzero(~np.array(self._flat, dtype=bool))
        hashes = np.array(self._hashes, dtype=np.uint64)
        contents = np.array(self._contents, dtype=np.int64)
        splits = np.array(self._splits, dtype=np.int64)
        thumbnails = np.frombuffer(self._thumbnails, np.uint8).reshape(-1, THUMBNAIL * THUMBNAIL)
        for rows in _buckets(hashes, structured, splits, max_distance + 1):
            for start in range(0, len(rows), _BLOCK):
                one = rows[start : start + _BLOCK]
                for offset in range(start, len(rows), _BLOCK):
                    other = rows[offset : offset + _BLOCK]
                    distance = _differing_bits(hashes[one][:, None] ^ hashes[other][None, :])
                    close = (distance <= max_distance) & (splits[one][:, None] != splits[other][None, :])
                    close &= contents[one][:, None] != contents[other][None, :]
                    if offset == start:
                        close = np.triu(close, 1)  # each pair once
                    # Most pairs of a long video are pairs of images that have long been found.
                    close &= ~(found[one][:, None] & found[other][None, :])
                    row, column = np.nonzero(close)
                    for part in np.array_split(np.arange(len(row)), len(row) // 65536 + 1):
                        first, second = one[row[part]], other[column[part]]
                        same = _correlation(thumbnails[first], thumbnails[second]) >= SAME_LOOK
                        same &= ~(found[first] & found[second])
                        first, second = first[same], second[same]
                        if len(first):
                            found[first] = found[second] = True
                            yield first, second, distance[row[part], column[part]][same].astype(np.int64)

    def _flat_pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs such that every flat image with a match is in one; the number of pairs stays small."""
        by_colour: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for position in np.flatnonzero(np.array(self._flat, dtype=bool)).tolist():
            by_colour[self._colours[position]].append(position)
        reach = range(-SAME_COLOUR, SAME_COLOUR + 1)
        for colour, positions in by_colour.items():
            near = [other for shift in product(reach, repeat=3) if (other := _shifted(colour, shift)) in by_colour]
            # Two images of different content and split answer for all others, with one more for their own splits.
            witnesses = self._witnesses(position for other in near for position in by_colour[other])
            for position in positions:
                partner = next((other for other in witnesses if self._differ(position, other)), None)
                if partner is not None:
                    yield position, partner

    def _witnesses(self, positions: Iterator[int]) -> list[int]:
        """A few images among which any image finds a partner of another split and content, if there is one."""
        seen: dict[int, dict[int, int]] = defaultdict(dict)
        for position in positions:
            contents = seen[self._splits[position]]
            if len(contents) < 2:
                contents.setdefault(self._contents[position], position)
        return [position for contents in seen.values() for position in contents.values()]

    def _differ(self, one: int, other: int) -> bool:
        return self._splits[one] != self._splits[other] and self._contents[one] != self._contents[other]


def _buckets(
    hashes: NDArray[np.uint64], rows: NDArray[np.int64], splits: NDArray[np.int64], bands: int
) -> Iterator[NDArray[np.int64]]:
    """Rows of several splits that agree in a band of their hashes."""
    edges = np.linspace(0, 64, bands + 1).astype(np.int64)
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64((1 << (high - low)) - 1)
        keys = (hashes[rows] >> np.uint64(low)) & mask
        order = np.argsort(keys, kind="stable")
        for bucket in np.split(rows[order], np.flatnonzero(np.diff(keys[order])) + 1):
            if len(bucket) > 1 and np.ptp(splits[bucket]):
                yield bucket


def _differing_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Number of ones of each 64-bit value."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        counts: NDArray[np.uint8] = np.bitwise_count(values)
        return counts
    pairs, nibbles, octets = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & nibbles) + ((values >> np.uint64(2)) & nibbles)
    values = (values + (values >> np.uint64(4))) & octets
    return ((values * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`[P]` correlation of `[P, pixels]` with `[P, pixels]`; 0 where either has no contrast."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    product_sum: NDArray[np.float32] = (first * second).sum(axis=1)
    correlation: NDArray[np.float32] = np.divide(product_sum, size, out=np.zeros_like(product_sum), where=size > 0)
    return correlation


def _shifted(colour: tuple[int, int, int], shift: tuple[int, ...]) -> tuple[int, int, int]:
    return colour[0] + shift[0], colour[1] + shift[1], colour[2] + shift[2]
