"""Do the splits of a data set leak into each other?"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.near_duplicates import NearDuplicates, check_distance
from vlcore.data.perceptual_hash import Appearance, appearance
from vlcore.data.progress import track
from vlcore.data.record import Record
from vlcore.data.shared_keys import SharedKeys
from vlcore.data.source import read_bytes
from vlcore.data.text import normalise_text, text_key
from vlcore.errors import VlcoreError

SHOWN = 10
"""Examples that are kept of each finding."""
_CHUNK = 512  # records whose images are in work at once


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that different splits have in common.

    Attributes:
        count: records that share it with a record of another split.
        compared: records that were compared.
        by_split: `count` by split: `{"test": 37, "train": 41}`.
        examples: pairs, `{"first": id, "first_split": …, "second": id, "second_split": …}` with the shared `group` or
            `text`, or the `distance` of near-duplicates in bits.
    """

    count: int
    compared: int
    by_split: Mapping[str, int]
    examples: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SplitAudit:
    """What the splits of a data set have in common.

    Attributes:
        splits: records by split.
        without_split: records that name none; they are not compared.
        same_group: patients, scenes, videos, … of several splits.
        same_image: images of equal bytes.
        near_duplicate: images that look nearly the same, of different bytes.
        same_text: equal captions, after normalisation. Common captions repeat by nature, so this is no leak.
        images: whether images were read.
        undecodable: images that could not be read, which near-duplicates may hide among.
        undecodable_examples: `{"id": …, "reason": …}`.
    """

    splits: Mapping[str, int]
    without_split: int
    same_group: Finding
    same_image: Finding
    near_duplicate: Finding
    same_text: Finding
    images: bool
    undecodable: int
    undecodable_examples: Sequence[Mapping[str, str]]

    @property
    def leaks(self) -> bool:
        """Whether what a model was trained on is in what it is tested on: by group, image or near-duplicate."""
        return any(finding.count for finding in (self.same_group, self.same_image, self.near_duplicate))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "records": sum(self.splits.values()) + self.without_split,
            "splits": dict(self.splits),
            "without_split": self.without_split,
            "images_compared": self.images,
            **{name: asdict(getattr(self, name)) for name in _FINDINGS},
            "undecodable": {"count": self.undecodable, "examples": [dict(one) for one in self.undecodable_examples]},
            "leaks": self.leaks,
        }

    def summary(self) -> str:
        """A few lines for people."""
        names = ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"
        lines = [f"splits: {names}" + (f"; {self.without_split:,} records without" if self.without_split else "")]
        if len(self.splits) < 2:
            return f"{lines[0]}\nThere are no two splits to compare."
        for name, title in _FINDINGS.items():
            finding: Finding = getattr(self, name)
            if name in _OF_IMAGES and not self.images:
                lines.append(f"{title}: not looked for")
                continue
            shares = ", ".join(f"{split} {count:,}" for split, count in finding.by_split.items())
            lines.append(
                f"{title}: {finding.count:,} of {finding.compared:,} records" + (f" ({shares})" * bool(shares))
            )
        if self.undecodable:
            lines.append(f"images that could not be read: {self.undecodable:,}")
        lines.append("The splits leak." if self.leaks else "No leaks.")
        return "\n".join(lines)


_FINDINGS = {
    "same_group": "group in another split",
    "same_image": "same image in another split",
    "near_duplicate": "nearly the same image in another split",
    "same_text": "same caption in another split (no leak by itself)",
}
_OF_IMAGES = ("same_image", "near_duplicate")


def audit_splits(
    records: Iterable[Record], *, images: bool = True, max_distance: int = 4, progress: bool = False
) -> SplitAudit:
    """Look for what different splits have in common.

    Memory is about 500 bytes a record besides ids; images are read in threads, each once, and never all held.

    Args:
        records: with their splits; read several times unless it is an iterator.
        images: whether to read and compare the images too.
        max_distance: bits of 64 in which the perceptual hashes of near-duplicates may differ.
        progress: show a bar on standard error while images are read.

    Raises:
        ConfigurationError: if `max_distance` is out of range.
    """
    check_distance(max_distance)
    if isinstance(records, Iterator):
        records = list(records)
    rows = _Rows(records)
    contents, near, looked_at = SharedKeys(), NearDuplicates(), array("q")
    undecodable: list[dict[str, str]] = []
    unread = 0
    compare = images and len(rows.names) > 1
    if compare:
        with track(len(rows.ids), "comparing images", progress) as advance:
            for row, (content, look) in enumerate(_looks(record for record in records if record.split is not None)):
                if content is not None:
                    contents.add(row, content)
                if content is not None and isinstance(look, Appearance):
                    near.add(look, content, int(rows.splits[row]))
                    looked_at.append(row)
                else:
                    unread += 1
                    if unread <= SHOWN:
                        undecodable.append({"id": rows.ids[row], "reason": str(look)})
                advance(1)
    similar, pairs = near.find(max_distance, SHOWN)
    looked = np.array(looked_at, dtype=np.int64)
    near_pairs = [(int(looked[pair.first]), int(looked[pair.second]), pair.distance) for pair in pairs]
    same_group, group_pairs = rows.groups.shared(rows.splits, SHOWN)
    same_image, image_pairs = contents.shared(rows.splits, SHOWN)
    same_text, text_pairs = rows.texts.shared(rows.splits, SHOWN)
    texts = _texts(records, {key for *_, key in text_pairs})
    return SplitAudit(
        splits=rows.sizes(np.arange(len(rows.ids))),
        without_split=rows.without_split,
        same_group=rows.finding(same_group, rows.groups.rows, group_pairs, "group", rows.group_names.__getitem__),
        same_image=rows.finding(same_image, contents.rows, image_pairs),
        near_duplicate=rows.finding(looked[similar], looked, near_pairs, "distance", int),
        same_text=rows.finding(same_text, rows.texts.rows, text_pairs, "text", texts.__getitem__),
        images=compare,
        undecodable=unread,
        undecodable_examples=undecodable,
    )


class _Rows:
    """What is kept of the records that have a split, in their order."""

    def __init__(self, records: Iterable[Record]) -> None:
        numbers, splits = dict[str, int](), array("q")
        group_numbers: dict[str, int] = {}
        self.ids: list[str] = []
        self.groups, self.texts = SharedKeys(), SharedKeys()
        self.without_split = 0
        for record in records:
            if record.split is None:
                self.without_split += 1
                continue
            row = len(self.ids)
            self.ids.append(record.id)
            splits.append(numbers.setdefault(record.split, len(numbers)))
            if record.group is not None:
                self.groups.add(row, group_numbers.setdefault(record.group, len(group_numbers)))
            for key in {text_key(text.text) for text in record.texts}:
                self.texts.add(row, key)
        self.splits: NDArray[np.int64] = np.array(splits, dtype=np.int64)
        self.names = list(numbers)
        self.group_names = list(group_numbers)

    def sizes(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """Number of rows by split."""
        counts = Counter(self.splits[rows].tolist())
        return {name: counts[number] for number, name in enumerate(self.names) if counts[number]}

    def finding(
        self,
        found: NDArray[np.int64],
        compared: NDArray[np.int64],
        pairs: Iterable[tuple[int, int, int]],
        what: str = "",
        value: Callable[[int], Any] = int,
    ) -> Finding:
        """Name the rows; `what` the pairs share is `value` of their third number."""
        examples = []
        for first, second, key in pairs:
            example: dict[str, Any] = {}
            for order, row in (("first", first), ("second", second)):
                example[order] = self.ids[row]
                example[f"{order}_split"] = self.names[self.splits[row]]
            examples.append(example | ({what: value(key)} if what else {}))
        return Finding(len(found), len(compared), self.sizes(found), examples)


def _looks(records: Iterator[Record]) -> Iterator[tuple[int | None, Appearance | str]]:
    """Content key and look of every image in order, or what is wrong with it."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="vlcore-audit") as pool:
        while chunk := list(islice(records, _CHUNK)):
            yield from pool.map(_look, chunk)


def _look(record: Record) -> tuple[int | None, Appearance | str]:
    ref = record.image
    if ref.frames is not None:
        return None, "it is a span of a video"
    try:
        data = read_bytes(ref)
    except (OSError, VlcoreError) as error:
        return None, str(error)
    digest = hashlib.sha256(data + (b"" if ref.window is None else str(ref.window).encode())).digest()
    content = int.from_bytes(digest[:8], "big", signed=True)
    try:
        return content, appearance(data, ref.window)
    except ValueError as error:
        return content, str(error)


def _texts(records: Iterable[Record], keys: set[int]) -> dict[int, str]:
    """The normalised texts behind a few keys."""
    found: dict[int, str] = {}
    for record in records if keys else ():
        for text in record.texts:
            if len(found) < len(keys) and (key := text_key(text.text)) in keys:
                found.setdefault(key, normalise_text(text.text))
    return found
