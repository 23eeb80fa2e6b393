"""A manifest becomes an index, or brings one up to date; interrupted, the next call continues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vlcore.data.decode import DecodeReport, OnBadImage, read_image_bytes
from vlcore.data.progress import track
from vlcore.data.record import Record
from vlcore.data.stream import content_key
from vlcore.errors import ImageDecodeError
from vlcore.retrieval.columns import infer_columns
from vlcore.retrieval.index import ANN_FROM, Added, Index
from vlcore.retrieval.index_state import is_finished, is_unfinished
from vlcore.retrieval.rows import SHARD_RECORDS, described, embed_records, embedded_table, gathered, record_key

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest
    from vlcore.retrieval.model import Model


@dataclass
class IndexReport:
    """What became of a manifest's records.

    Attributes:
        new: ids that were not in the index.
        replaced: ids whose image, texts or metadata had changed.
        unchanged: ids that were left alone without running the model.
        decoding: counts of decoded and bad images.
    """

    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    decoding: DecodeReport = field(default_factory=DecodeReport)


def build_index(
    model: Model,
    manifest: Manifest,
    path: Path | str,
    *,
    batch_size: int = 64,
    on_bad_image: OnBadImage = "raise",
    ann_from: int = ANN_FROM,
    progress: bool = False,
) -> tuple[Index, IndexReport]:
    """Put every record of a manifest into the index at `path`, making it where there is none.

    An index that exists is brought up to date: unchanged images are recognised by their bytes and not embedded
    again; images that are no longer in the manifest stay.

    Args:
        model: gives the vectors; must be the one that made the index.
        manifest: names the images.
        path: folder of the index.
        batch_size: images per forward pass.
        on_bad_image: what to do with an image that cannot be decoded.
        ann_from: rows from which search is approximate; used when the index is made.
        progress: show a bar on standard error.

    Raises:
        FingerprintMismatchError: if the index was made by another model.
        ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
    """
    path = Path(path)
    if is_finished(path):
        index = Index.open(path, model)
    else:
        # Columns are found in a first pass, so that a key is typed by all of its values.
        rows = () if is_unfinished(path) else (described(record) for record in manifest)
        columns = infer_columns((row["labels"], row["meta"]) for row in rows)
        index = Index.begin(
            path,
            fingerprint=model.fingerprint,
            width=model.embedding_size,
            columns=columns,
            ann_from=ann_from,
            model_path=model.path,
        )
        index.model = model
    report = IndexReport()
    records = iter(manifest)
    with track(len(manifest), "indexing images", progress) as advance:
        while chunk := list(islice(records, SHARD_RECORDS)):
            changed = list(_changed(index, chunk))
            report.unchanged += len(chunk) - len(changed)
            advance(len(chunk) - len(changed))
            stream = embed_records(
                model, changed, batch_size=batch_size, on_bad_image=on_bad_image, report=report.decoding
            )
            for part in gathered(stream, index.width, advance):
                _count(report, index.add(embedded_table(part.records, part.vectors, part.contents, index.width)))
    index.finish()
    return index, report


def _changed(index: Index, records: Sequence[Record]) -> Iterator[Record]:
    """Those records that the index does not hold as they are now."""
    stored = index.stored_keys([record.id for record in records])
    for record in records:
        if record.id in stored:
            content, row = stored[record.id]
            try:
                data = read_image_bytes(record.image, record.id)
            except ImageDecodeError:
                data = b""  # embedding it will raise, skip or replace, as asked
            if content_key(data, record.image).hex() == content and record_key(described(record)) == row:
                continue
        yield record


def _count(report: IndexReport, added: Added) -> None:
    report.new += added.new
    report.replaced += added.replaced
    report.unchanged += added.unchanged
