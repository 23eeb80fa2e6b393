"""A folder of shards of vectors: each written whole or not at all, in any order, by whichever process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, FingerprintMismatchError
from vlcore.files import atomic_write, write_text
from vlcore.retrieval.rows import (
    SHARD_RECORDS,
    ImageEmbedder,
    embed_records,
    embedded_table,
    embedding_schema,
    gathered,
)

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest

FORMAT = 1
SUMMARY = "embeddings.json"
# Bad images named in the summary; all are counted.
NAMED = 1000


@dataclass(frozen=True)
class Embeddings:
    """A finished folder of shards.

    Attributes:
        path: the folder.
        model: fingerprint of the model that made the vectors.
        manifest: fingerprint of the manifest they were made from.
        width: D.
        rows: number of vectors.
        records: number of records of the manifest; `rows` and `skipped` add up to it.
        skipped: images left out because they cannot be decoded.
        replaced: images that a grey one stands for.
        problems: `{"id", "place", "reason"}` of bad images, at most 1,000 of them.
    """

    path: Path
    model: str
    manifest: str
    width: int
    rows: int
    records: int
    skipped: int
    replaced: int
    problems: list[dict[str, str]]

    @staticmethod
    def is_finished(path: Path) -> bool:
        """True where `embed` came to its end."""
        return (path / SUMMARY).is_file()

    @classmethod
    def open(cls, path: Path | str) -> Embeddings:
        """Open what `embed` finished.

        Raises:
            ConfigurationError: if the folder is missing or its embedding was interrupted.
        """
        path = Path(path)
        summary = path / SUMMARY
        if not cls.is_finished(path):
            raise ConfigurationError(
                f"{path} holds no finished embeddings ({SUMMARY} is missing). If `vlcore embed` was interrupted, run "
                f"it again with the same arguments; it continues where it stopped."
            )
        values = json.loads(summary.read_text(encoding="utf-8"))
        if values.pop("format", None) != FORMAT:
            raise ConfigurationError(f"{summary} is of another format than {FORMAT}; embed again with this version.")
        return cls(path=path, **values)

    def shards(self) -> list[Path]:
        """Parquet files in input order."""
        return [_shard(self.path, number) for number in range(-(-self.records // SHARD_RECORDS))]

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """One table per shard, in input order; all columns, or those named."""
        for shard in self.shards():
            yield pq.read_table(shard, columns=columns)

    def vectors(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """All vectors, `[rows, D]`."""
        flat = [table["vector"].combine_chunks().flatten().to_numpy() for table in self.tables(["vector"])]
        return np.concatenate(flat).reshape(-1, self.width) if flat else np.zeros((0, self.width), np.float32)


@dataclass(frozen=True)
class ShardWriter:
    """Embeds the records of one shard and writes it; a plain value that can be sent to another process.

    Attributes:
        out: folder of the shards.
        identity: fingerprints of model and manifest, and `width`.
        total: records of the manifest.
        batch_size: images per forward pass.
        on_bad_image: policy.
    """

    out: Path
    identity: dict[str, Any]
    total: int
    batch_size: int
    on_bad_image: OnBadImage

    @property
    def count(self) -> int:
        """Number of shards."""
        return -(-self.total // SHARD_RECORDS)

    def size(self, number: int) -> int:
        """Records of a shard."""
        return min(SHARD_RECORDS, self.total - number * SHARD_RECORDS)

    def write(
        self, number: int, records: Iterable[Record], model: ImageEmbedder, advance: Callable[[int], None]
    ) -> dict[str, Any]:
        """Embed a shard's records and write it.

        One stream per shard: its batches, and so its bytes, never depend on where an earlier run stopped or on which
        process embeds it.

        Returns:
            The shard's note: counts and bad images.

        Raises:
            ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
        """
        report, width = DecodeReport(), self.identity["width"]
        stream = embed_records(
            model, records, batch_size=self.batch_size, on_bad_image=self.on_bad_image, report=report
        )
        parts = [
            embedded_table(part.records, part.vectors, part.contents, width)
            for part in gathered(stream, width, advance)
        ]
        table = parts[0] if parts else embedding_schema(width).empty_table()
        note = {
            **self.identity,
            "policy": self.on_bad_image,
            "records": self.size(number),
            "rows": len(table),
            **_counts(report),
        }
        with atomic_write(self.shard(number)) as temporary:
            pq.write_table(table.replace_schema_metadata({"vlcore": json.dumps(note, ensure_ascii=False)}), temporary)
        return note

    def finished(self) -> dict[int, dict[str, Any]]:
        """Notes of the shards that are there, by number, after checking that they are this run's.

        Raises:
            FingerprintMismatchError: if the folder holds shards of another model, manifest or policy.
        """
        return {number: self.read(number) for number in range(self.count) if self.shard(number).is_file()}

    def shard(self, number: int) -> Path:
        """File of a shard."""
        return _shard(self.out, number)

    def read(self, number: int) -> dict[str, Any]:
        """Note of a shard that is there.

        Raises:
            FingerprintMismatchError: if it is of another model, manifest or policy.
        """
        return _checked(self.shard(number), self.identity, self.on_bad_image)

    def finish(self, notes: dict[int, dict[str, Any]]) -> Embeddings:
        """Write the summary; the folder is complete with it."""
        ordered = [notes[number] for number in range(self.count)]
        summary = {
            "format": FORMAT,
            **self.identity,
            "rows": sum(note["rows"] for note in ordered),
            "records": self.total,
            "skipped": sum(note["skipped"] for note in ordered),
            "replaced": sum(note["replaced"] for note in ordered),
            "problems": [problem for note in ordered for problem in note["problems"]][:NAMED],
        }
        write_text(self.out / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        return Embeddings.open(self.out)


def prepare(
    model: ImageEmbedder, manifest: Manifest, out: Path, batch_size: int, on_bad_image: OnBadImage
) -> tuple[ShardWriter, dict[int, dict[str, Any]]]:
    """Make the folder ready, or find what an earlier run finished.

    Returns:
        The writer, and the notes of finished shards by number.

    Raises:
        FingerprintMismatchError: if the folder holds shards of another model, manifest or policy.
    """
    out.mkdir(parents=True, exist_ok=True)
    identity = {"model": model.fingerprint, "manifest": manifest.fingerprint(), "width": model.embedding_size}
    writer = ShardWriter(out, identity, len(manifest), batch_size, on_bad_image)
    for leftover in out.glob(".*.part"):
        leftover.unlink()
    return writer, writer.finished()


def shards_of(manifest: Manifest) -> Iterator[tuple[int, Iterator[Record]]]:
    """Number and records of each shard, in order; what is not read of one is passed over."""
    records = iter(manifest)
    for number in range(-(-len(manifest) // SHARD_RECORDS)):
        shard = islice(records, SHARD_RECORDS)
        yield number, shard
        for _ in shard:
            pass


def _shard(out: Path, number: int) -> Path:
    return out / f"part-{number:05d}.parquet"


def _checked(path: Path, identity: dict[str, Any], policy: OnBadImage) -> dict[str, Any]:
    """Note of a shard that an earlier run finished, if it may stand beside those of this one."""
    note: dict[str, Any] = json.loads((pq.read_schema(path).metadata or {}).get(b"vlcore", b"{}"))
    names = {"model": "model fingerprint", "manifest": "manifest fingerprint", "width": "embedding size"}
    for field, name in names.items():
        if note.get(field) != identity[field]:
            raise FingerprintMismatchError(
                str(path), name, note.get(field), identity[field], "Embed into another folder, or delete this one."
            )
    if policy != note["policy"] and (note["skipped"] or note["replaced"]):
        raise FingerprintMismatchError(
            str(path),
            "on_bad_image",
            note["policy"],
            policy,
            f"{note['skipped'] + note['replaced']} images of it were bad. Use the policy it was begun with, or "
            f"another folder.",
        )
    return note


def _counts(report: DecodeReport) -> dict[str, Any]:
    return {
        "skipped": report.skipped,
        "replaced": report.replaced,
        "problems": [
            {"id": identifier, "place": place, "reason": reason} for identifier, place, reason in report.problems
        ],
    }
