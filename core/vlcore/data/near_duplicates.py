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
_SMALL = 64  # images of a bucket whose pairs are all listed
_BLOCK = 256  # images of a larger bucket that are compared with 4 times as many at once: what fits a core's cache


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
        looks = _Looks(
            np.array(self._hashes, dtype=np.uint64),
            np.array(self._contents, dtype=np.int64),
            np.array(self._splits, dtype=np.int64),
            np.frombuffer(bytes(self._thumbnails), np.uint8).reshape(-1, THUMBNAIL * THUMBNAIL),
        )
        structured = np.flatnonzero(~np.array(self._flat, dtype=bool))
        for first, second, distance in looks.matches(structured, found, max_distance):
            for one in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
                if len(pairs) == examples:
                    break
                pairs.append(NearPair(*one))
        for first_flat, second_flat in self._flat_pairs():
            if len(pairs) < examples and not (found[first_flat] and found[second_flat]):
                pairs.append(NearPair(first_flat, second_flat, 0))
            found[[first_flat, second_flat]] = True
        return found, pairs

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


_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Looks:
    """Arrays of what is compared; `[N]`, and thumbnails `[N, pixels]`."""

    hashes: NDArray[np.uint64]
    contents: NDArray[np.int64]
    splits: NDArray[np.int64]
    thumbnails: NDArray[np.uint8]

    def matches(
        self, rows: NDArray[np.int64], found: NDArray[np.bool_], max_distance: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Mark the rows with a match in `found`; yield pairs and their distances, at least one pair for each row."""
        edges = np.linspace(0, 64, max_distance + 2).astype(np.int64).tolist()
        masks = [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]
        for band, mask in enumerate(masks):
            for first, second in self._sharing_band(rows, found, mask):
                differing = self.hashes[first] ^ self.hashes[second]
                distance = _differing_bits(differing)
                close = (distance <= max_distance) & (self.splits[first] != self.splits[second])
                # Most pairs of a long video are pairs of images that have long been found.
                close &= (self.contents[first] != self.contents[second]) & ~(found[first] & found[second])
                for earlier in masks[:band]:  # pairs that share an earlier band have been looked at
                    close &= (differing & earlier) != 0
                close = np.flatnonzero(close)
                close = close[self._look_alike(first[close], second[close])]
                if len(close):
                    found[first[close]] = found[second[close]] = True
                    yield first[close], second[close], distance[close].astype(np.int64)

    def _sharing_band(self, rows: NDArray[np.int64], found: NDArray[np.bool_], mask: np.uint64) -> Iterator[_Pairs]:
        """Pairs of rows whose hashes agree in the bits of `mask`."""
        keys = self.hashes[rows] & mask
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        sizes = np.diff(np.r_[starts, len(rows)])
        # All small buckets at once: each row with its next neighbour, with the one after it, and so on.
        small = np.repeat(sizes <= _SMALL, sizes)
        for step in range(1, _SMALL):
            first = np.flatnonzero((keys[step:] == keys[:-step]) & small[:-step])
            if not len(first):
                break
            yield rows[first], rows[first + step]
        for start, size in zip(starts[sizes > _SMALL], sizes[sizes > _SMALL], strict=True):
            yield from self._large_bucket(rows[start : start + size], found)

    def _large_bucket(self, bucket: NDArray[np.int64], found: NDArray[np.bool_]) -> Iterator[_Pairs]:
        """Pairs of a bucket that may match: rows of one split with rows of later ones, in blocks."""
        for split in np.unique(self.splits[bucket]).tolist():
            own, others = bucket[self.splits[bucket] == split], bucket[self.splits[bucket] > split]
            for one in np.split(own, range(_BLOCK, len(own), _BLOCK)):
                for other in np.split(others, range(4 * _BLOCK, len(others), 4 * _BLOCK)):
                    if len(other) and not (found[one].all() and found[other].all()):
                        # A first look at the hashes alone keeps the lists of pairs short.
                        near = _differing_bits(self.hashes[one][:, None] ^ self.hashes[other]) <= LARGEST_DISTANCE
                        row, column = np.divmod(np.flatnonzero(near), len(other))
                        yield one[row], other[column]

    def _look_alike(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`[P]` whether the thumbnails of each pair correlate."""
        rows, row = np.unique(first, return_inverse=True)
        columns, column = np.unique(second, return_inverse=True)
        if len(rows) * len(columns) <= 8 * len(first):  # so dense that all products are cheaper than the pairs
            products = _standardised(self.thumbnails[rows]) @ _standardised(self.thumbnails[columns]).T
            return np.asarray(products[row, column] >= SAME_LOOK)
        alike = np.zeros(len(first), dtype=bool)
        for start in range(0, len(first), 16384):
            part = slice(start, start + 16384)
            one, other = _standardised(self.thumbnails[first[part]]), _standardised(self.thumbnails[second[part]])
            alike[part] = np.einsum("pk,pk->p", one, other) >= SAME_LOOK  # p pairs, k pixels
        return alike


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


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`[N, pixels]` with mean 0 and length 1, so that products are correlations; 0 where there is no contrast."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    standardised: NDArray[np.float32] = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return standardised


def _shifted(colour: tuple[int, int, int], shift: tuple[int, ...]) -> tuple[int, int, int]:
    return colour[0] + shift[0], colour[1] + shift[1], colour[2] + shift[2]
