"""The first pass over a manifest: everything that is wrong with it, and what it holds, in bounded memory."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.data.readers.paths import ImageFolder
from vlcore.data.readers.rows import Reader, RecordBuilder
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem

MANIFEST_SUFFIXES = frozenset((".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".tar"))
"""File name endings of manifests."""
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
KEPT = 1000
"""Problems that are kept; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a manifest holds.

    Attributes:
        records: number of them.
        fingerprint: SHA-256 of all records, 64 hexadecimal digits.
        languages: number of texts by language, before any were dropped.
        texts_dropped: texts of other languages than the one asked for.
    """

    records: int
    fingerprint: str
    languages: Mapping[str, int]
    texts_dropped: int


class _Problems:
    """The first problems in the order of their rows, and the number of all."""

    def __init__(self) -> None:
        self.total = 0
        self._kept: list[tuple[int, Problem]] = []

    def add(self, row: int, problem: Problem) -> None:
        self.total += 1
        if len(self._kept) < KEPT:
            self._kept.append((row, problem))

    def in_order(self) -> list[Problem]:
        return [problem for _, problem in sorted(self._kept, key=lambda entry: entry[0])]


def validate(path: Path, reader: Reader, builder: RecordBuilder) -> Contents:
    """Read every row once.

    Args:
        path: of the manifest, for messages.
        reader: of its format.
        builder: makes records; existence of the image files is checked.

    Raises:
        ManifestError: listing everything that is wrong, or if there is no row.
        ConfigurationError: if no text has the language asked for.
    """
    digest = hashlib.sha256(b"vlcore manifest 1\n")
    problems, languages, kept = _Problems(), Counter[str](), 0
    # 16 bytes a row: identity of ids is decided on hashes, and only ids that seem to repeat are read again.
    hashes, ordinals = array("q"), array("q")
    for ordinal, row in enumerate(reader.rows()):
        if isinstance(row, Problem):
            problems.add(ordinal, row)
            continue
        wrong: list[str] = []
        record, texts = builder.build(row, wrong, check_files=True)
        languages.update(text.lang for text in texts)
        identifier = builder.identify_if_possible(row) if record is None else record.id
        if record is not None:
            kept += len(record.texts)
            try:
                digest.update(canonical(record, builder.folder))
            except UnicodeEncodeError:
                wrong.append("a text or name holds half of a surrogate pair, which is no character. Correct it.")
        for message in wrong:
            problems.add(ordinal, Problem(row.place, message))
        if identifier:
            hashed = hashlib.blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            hashes.append(int.from_bytes(hashed, "big", signed=True))
            ordinals.append(ordinal)
    _add_repeated(reader, builder, problems, np.frombuffer(hashes, np.int64), np.frombuffer(ordinals, np.int64))
    if not problems.total and not hashes:
        problems.add(0, Problem("the source", _nothing(reader)))
    if problems.total:
        raise ManifestError(path, problems.in_order(), problems.total)
    if builder.lang is not None and not kept and languages:
        raise ConfigurationError(
            f"{path}: no text has the language {builder.lang!r}. Languages: {', '.join(sorted(languages))}."
        )
    return Contents(len(hashes), digest.hexdigest(), dict(languages), languages.total() - kept)


def canonical(record: Record, folder: ImageFolder) -> bytes:
    """All of a record but the place of its folder, in one form."""
    image = record.image
    # The archive or table of a member is not named: it may have been moved, and the id tells members apart.
    where = image.member if image.member is not None else folder.relative(image.path)
    values = [
        record.id,
        where,
        [[text.text, text.lang, text.kind] for text in record.texts],
        record.group,
        record.split,
        record.labels,
        record.meta,
    ]
    return _encode(values).encode() + b"\n"


def _add_repeated(
    reader: Reader, builder: RecordBuilder, problems: _Problems, hashes: NDArray[np.int64], ordinals: NDArray[np.int64]
) -> None:
    """Report every id that comes again, with the places of both rows."""
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1]) + 1
    if not again.size:
        return
    wanted = set(ordinals[order[again]].tolist()) | set(ordinals[order[again - 1]].tolist())
    places: dict[str, str] = {}
    for ordinal, row in enumerate(reader.rows()):
        if ordinal in wanted and not isinstance(row, Problem):
            identifier = builder.identify_if_possible(row)
            if identifier in places:
                message = (
                    f"the id {identifier!r} is also on {places[identifier]}. Give one of them another id, or put all "
                    f'texts of an image into one row: "texts": ["…", "…"].'
                )
                problems.add(ordinal, Problem(row.place, message))
            elif identifier:
                places[identifier] = row.place


def _nothing(reader: Reader) -> str:
    if reader.format == "folder":
        found = sorted(path.name for path in reader.root.iterdir() if path.suffix.lower() in MANIFEST_SUFFIXES)
        hint = f" Did you mean {', '.join(str(reader.root / name) for name in found)}?" if found else ""
        return f"there is no image in it.{hint}"
    return "it holds no rows."
