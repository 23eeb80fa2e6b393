"""The table form of embedded records: what shards hold and what an index is built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.record import ImageRef, Record
from vlcore.data.stream import ImageStream
from vlcore.types import ImagePreprocess

if TYPE_CHECKING:
    from torch import Tensor

SHARD_RECORDS = 4096
"""Records that are embedded before something is written."""


class ImageEmbedder(Protocol):
    """What embedding needs of a model; `vlcore.retrieval.model.Model` is one."""

    @property
    def fingerprint(self) -> str:
        """Changes with weights and preprocessing."""

    @property
    def embedding_size(self) -> int:
        """D."""

    @property
    def preprocess(self) -> ImagePreprocess:
        """Geometry of the image tower."""

    def embed_pixels(self, images: Tensor) -> NDArray[np.float32]:
        """Embed `[B, 3, H, W]` uint8 as `[B, D]` of unit norm."""


@dataclass(frozen=True)
class EmbeddedBatch:
    """Records whose images were read, with their vectors.

    Attributes:
        records: B records in input order.
        vectors: `[B, D]` float32 of unit norm.
        contents: SHA-256 of each image's encoded bytes.
        seen: records consumed for this batch, skipped ones included.
    """

    records: list[Record]
    vectors: NDArray[np.float32]
    contents: list[bytes]
    seen: int


def embed_records(
    model: ImageEmbedder,
    records: Iterable[Record],
    *,
    batch_size: int,
    on_bad_image: OnBadImage,
    report: DecodeReport,
) -> Iterator[EmbeddedBatch]:
    """Stream records through the image tower in input order, holding only a few batches of them."""
    pending: dict[int, Record] = {}

    def refs() -> Iterator[tuple[str, ImageRef]]:
        for position, record in enumerate(records):
            pending[position] = record
            yield record.id, record.image

    stream = ImageStream(refs(), model.preprocess, batch_size=batch_size, on_bad_image=on_bad_image, report=report)
    done = 0
    for batch in stream:
        vectors = model.embed_pixels(batch.images)
        kept = [pending.pop(position) for position in batch.positions]
        seen = batch.positions[-1] + 1
        for position in [position for position in pending if position < seen]:  # skipped images
            del pending[position]
        yield EmbeddedBatch(kept, vectors, list(batch.content_keys), seen - done)
        done = seen


def gathered(
    batches: Iterable[EmbeddedBatch], width: int, advance: Callable[[int], None], size: int = SHARD_RECORDS
) -> Iterator[EmbeddedBatch]:
    """Join batches to larger ones of at most `size` records, telling `advance` of each as it comes.

    The vectors go into one block made beforehand: kept one by one, they would lie between the passing images in
    memory and keep the allocator from using those holes again, some 100 KiB for every image.
    """
    records: list[Record] = []
    contents: list[bytes] = []
    seen = 0
    vectors = np.empty((size, width), dtype=np.float32)
    for batch in batches:
        if len(records) + len(batch.records) > size:
            yield EmbeddedBatch(records, vectors[: len(records)], contents, seen)
            records, contents, seen = [], [], 0
            vectors = np.empty((size, width), dtype=np.float32)
        vectors[len(records) : len(records) + len(batch.records)] = batch.vectors
        records.extend(batch.records)
        contents.extend(batch.contents)
        seen += batch.seen
        advance(batch.seen)
    if records:
        yield EmbeddedBatch(records, vectors[: len(records)], contents, seen)


def embedding_schema(width: int) -> pa.Schema:
    """Columns of embedded records; labels and meta are JSON, so that every shard has one schema."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("image", pa.string(), nullable=False),
            pa.field("member", pa.string()),
            pa.field("window", pa.list_(pa.int64())),
            pa.field("vector", pa.list_(pa.float32(), width), nullable=False),
            pa.field("split", pa.string()),
            pa.field("group", pa.string()),
            pa.field("texts", pa.list_(pa.string()), nullable=False),
            pa.field("labels", pa.string(), nullable=False),
            pa.field("meta", pa.string(), nullable=False),
            pa.field("content_sha256", pa.string(), nullable=False),
            pa.field("record_sha256", pa.string(), nullable=False),
        ]
    )


def embedded_table(
    records: Sequence[Record], vectors: NDArray[np.float32], contents: Sequence[bytes], width: int
) -> pa.Table:
    """Rows for N records and their vectors `[N, D]`."""
    rows = [described(record) for record in records]
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, width)
    columns["content_sha256"] = [content.hex() for content in contents]
    columns["record_sha256"] = [record_key(row) for row in rows]
    schema = embedding_schema(width)
    return pa.table({name: pa.array([]) if not rows else columns[name] for name in schema.names}, schema=schema)


def described(record: Record) -> dict[str, Any]:
    """A record's plain columns."""
    return {
        "id": record.id,
        "image": str(record.image.path.absolute()),
        "member": record.image.member,
        "window": None if record.image.window is None else list(record.image.window),
        "split": record.split,
        "group": record.group,
        "texts": [text.text for text in record.texts],
        "labels": json.dumps(dict(record.labels), ensure_ascii=False, sort_keys=True, default=str),
        "meta": json.dumps(dict(record.meta), ensure_ascii=False, sort_keys=True, default=str),
    }


def record_key(row: dict[str, Any]) -> str:
    """SHA-256 of what `described` returned: another one means that the row must be written again."""
    return hashlib.sha256(json.dumps(row, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
