"""A manifest becomes shards of vectors: streaming, resumable, the same table however often it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.progress import track
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

    @classmethod
    def open(cls, path: Path | str) -> Embeddings:
        """Open what `embed` finished.

        Raises:
            ConfigurationError: if the folder is missing or its embedding was interrupted.
        """
        path = Path(path)
        summary = path / SUMMARY
        if not summary.is_file():
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


def embed(
    model: ImageEmbedder,
    manifest: Manifest,
    out: Path | str,
    *,
    batch_size: int = 64,
    on_bad_image: OnBadImage = "raise",
    progress: bool = False,
) -> Embeddings:
    """Embed every image of a manifest into Parquet shards of 4,096 records.

    Interrupted at any point, the next call with the same arguments keeps the whole shards, continues behind them
    and ends with the same files. Memory does not depend on the number of images.

    Args:
        model: gives the vectors.
        manifest: names the images; its texts and labels become columns.
        out: folder for `part-00000.parquet`, … and `embeddings.json`, which is written last.
        batch_size: images per forward pass.
        on_bad_image: what to do with an image that cannot be decoded.
        progress: show a bar on standard error.

    Raises:
        FingerprintMismatchError: if the folder holds shards of another model or manifest.
        ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    identity = {"model": model.fingerprint, "manifest": manifest.fingerprint(), "width": model.embedding_size}
    done = _whole_shards(out, identity, on_bad_image)
    total = len(manifest)
    if (out / SUMMARY).is_file() and sum(part["records"] for part in done) == total:
        return Embeddings.open(out)
    for leftover in out.glob(".*.part"):
        leftover.unlink()
    records = iter(manifest)
    start = len(done) * SHARD_RECORDS
    next(islice(records, start, start), None)
    with track(total, "embedding images", progress) as advance:
        advance(min(start, total))
        for number in range(len(done), -(-total // SHARD_RECORDS)):
            report = DecodeReport()
            # One stream per shard: its batches then never depend on where an earlier run stopped.
            stream = embed_records(
                model, islice(records, SHARD_RECORDS), batch_size=batch_size, on_bad_image=on_bad_image, report=report
            )
            width = model.embedding_size
            parts = [
                embedded_table(part.records, part.vectors, part.contents, width)
                for part in gathered(stream, width, advance)
            ]
            table = parts[0] if parts else embedding_schema(width).empty_table()
            expected = min(SHARD_RECORDS, total - number * SHARD_RECORDS)
            note = {**identity, "policy": on_bad_image, "records": expected, "rows": len(table), **_counts(report)}
            _write_shard(out, number, table, note)
            done.append(note)
    summary = {
        "format": FORMAT,
        **identity,
        "rows": sum(part["rows"] for part in done),
        "records": total,
        "skipped": sum(part["skipped"] for part in done),
        "replaced": sum(part["replaced"] for part in done),
        "problems": [problem for part in done for problem in part["problems"]][:NAMED],
    }
    write_text(out / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return Embeddings.open(out)


def _shard(out: Path, number: int) -> Path:
    return out / f"part-{number:05d}.parquet"


def _write_shard(out: Path, number: int, table: pa.Table, note: dict[str, Any]) -> None:
    with atomic_write(_shard(out, number)) as temporary:
        pq.write_table(table.replace_schema_metadata({"vlcore": json.dumps(note, ensure_ascii=False)}), temporary)


def _counts(report: DecodeReport) -> dict[str, Any]:
    return {
        "skipped": report.skipped,
        "replaced": report.replaced,
        "problems": [
            {"id": identifier, "place": place, "reason": reason} for identifier, place, reason in report.problems
        ],
    }


def _whole_shards(out: Path, identity: dict[str, Any], policy: OnBadImage) -> list[dict[str, Any]]:
    """Notes of the shards that an earlier run finished, in order, after checking that they may be continued."""
    notes: list[dict[str, Any]] = []
    while (path := _shard(out, len(notes))).is_file():
        note = json.loads((pq.read_schema(path).metadata or {}).get(b"vlcore", b"{}"))
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
        notes.append(note)
    return notes
