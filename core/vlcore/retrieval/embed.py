"""A manifest becomes shards of vectors: streaming, resumable, the same table however often it was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vlcore.data.decode import OnBadImage
from vlcore.data.progress import track
from vlcore.retrieval.embedding_shards import Embeddings, prepare, shards_of
from vlcore.retrieval.rows import ImageEmbedder

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest


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
    writer, done = prepare(model, manifest, Path(out), batch_size, on_bad_image)
    if len(done) == writer.count and Embeddings.is_finished(writer.out):
        return Embeddings.open(writer.out)
    with track(writer.total, "embedding images", progress) as advance:
        for number, records in shards_of(manifest):
            if number in done:
                advance(writer.size(number))
            else:
                done[number] = writer.write(number, records, model, advance)
    return writer.finish(done)
