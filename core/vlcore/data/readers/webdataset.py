"""webdataset tars: members of one sample stand together and share their name up to the first dot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError
from vlcore.data.readers.jsonl import json_object
from vlcore.data.readers.lines import LARGEST_SIDECAR, captions_of, decode
from vlcore.data.readers.paths import IMAGE_SUFFIXES
from vlcore.data.readers.rows import SourceRow
from vlcore.data.readers.tar_members import TarMember, tar_members
from vlcore.data.record import ImageRef
from vlcore.errors import ConfigurationError, Problem

_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
MOST_SHARDS = 100_000


class WebDatasetReader:
    """Reads image, `.txt` (one caption a line), `.json` (keys as in JSON Lines) and `.cls` (a label) of each sample.

    The id is the key unless the JSON has an `id`. Where there is a `.txt`, texts of the JSON become metadata.

    Args:
        path: the tar, the pattern or the folder, as the user gave it.
        shards: the tars, in order.
    """

    format = "webdataset"

    def __init__(self, path: Path, shards: list[Path]) -> None:
        self.root = path.parent
        self.files = tuple(shards)

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row a sample, shard after shard."""
        for shard in self.files:
            yield from _shard_rows(shard)


def expand_braces(pattern: str) -> list[str]:
    """Names that `data-{000..003}.tar` or `{train,test}.tar` stands for; several braces multiply.

    Raises:
        ConfigurationError: if there are more than `MOST_SHARDS`.
    """
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    first, last, words = found.groups()
    if words is not None:
        parts = words.split(",")
    else:
        if int(last) - int(first) >= MOST_SHARDS:
            raise ConfigurationError(f"{pattern!r} names more than {MOST_SHARDS:,} shards. Shorten the range.")
        parts = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    head, tail = pattern[: found.start()], expand_braces(pattern[found.end() :])
    if len(parts) * len(tail) > MOST_SHARDS:
        raise ConfigurationError(f"{pattern!r} names more than {MOST_SHARDS:,} shards. Shorten the range.")
    return [head + part + rest for part in parts for rest in tail]


def _shard_rows(shard: Path) -> Iterator[SourceRow | Problem]:
    key, members = "", dict[str, TarMember]()
    for member in tar_members(shard):
        if isinstance(member, Problem):
            yield Problem(f"{shard.name}, {member.place}", member.message)
            continue
        folder, _, name = member.name.rpartition("/")
        if name.startswith((".", "__")):  # hidden files, webdataset's own notes
            continue
        stem, _, suffix = name.partition(".")
        own = f"{folder}/{stem}" if folder else stem
        if own != key:
            if members:
                yield _sample(shard, key, members)
            key, members = own, {}
        if suffix in members:
            yield Problem(f"{shard.name}, member {member.name!r}", "comes twice. Remove one of them.")
        members[suffix] = member
    if members:
        yield _sample(shard, key, members)


def _sample(shard: Path, key: str, members: dict[str, TarMember]) -> SourceRow | Problem:
    place = f"{shard.name}, sample {key!r}"
    try:
        image = _image(members)
        values: dict[str, Any] = {}
        texts = None
        if "json" in members:
            values = json_object(decode(_read(shard, members["json"])))
        if "cls" in members:
            label = decode(_read(shard, members["cls"])).strip()
            values["label"] = int(label) if label.isdecimal() else label
        if "txt" in members:
            texts = captions_of(_read(shard, members["txt"]))
    except RowError as error:
        return Problem(place, str(error))
    return SourceRow(place, values, image=ImageRef(shard, member=image.name), name=key, texts=texts)


def _image(members: dict[str, TarMember]) -> TarMember:
    """The one image of a sample; `a.jpg` is it even beside `a.mask.png`."""
    suffixes = [suffix for suffix in members if f".{suffix.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES]
    plain = [suffix for suffix in suffixes if "." not in suffix] or suffixes
    if len(plain) != 1:
        kind = "no image" if not plain else f"several images, {sorted(plain)}"
        raise RowError(
            f"has {kind}; its members end in {sorted(members)}. Each sample needs one image, and its members must "
            f"stand together: tar --sort=name."
        )
    return members[plain[0]]


def _read(shard: Path, member: TarMember) -> bytes:
    if member.size > LARGEST_SIDECAR:
        raise RowError(f"the member {member.name!r} has {member.size:,} bytes; a text has at most {LARGEST_SIDECAR:,}.")
    return member.read(shard)
