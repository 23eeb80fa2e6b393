"""`vlcore embed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def embed(
    model: Path,
    manifest: Path,
    output: Path,
    image_root: Path | None = None,
    batch_size: int = 64,
    on_bad_image: Literal["raise", "skip", "replace"] = "raise",
    device: str | None = None,
) -> None:
    """Turn the images of a manifest into vectors: Parquet shards that any tool can read.

    Interrupted, run it again with the same arguments: it continues where it stopped.

    Examples:
        vlcore embed runs/model captions.jsonl -o vectors/
        vlcore embed runs/model photos/ -o vectors/ --on-bad-image skip

    Args:
        model: model directory or hub id.
        manifest: JSONL, CSV, Parquet, webdataset tar, data set folder, or a folder of images.
        output: folder for `part-00000.parquet`, … and `embeddings.json`.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        batch_size: images per forward pass.
        on_bad_image: stop, leave the image out (counted), or put a grey one in its place (counted).
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.data.manifest import open_manifest
    from vlcore.retrieval.embed import embed as embed_manifest
    from vlcore.retrieval.model import load

    result = embed_manifest(
        load(model, device),
        open_manifest(manifest, image_root=image_root),
        output,
        batch_size=batch_size,
        on_bad_image=on_bad_image,
        progress=True,
    )
    for problem in result.problems:
        print(f"bad image {problem['id']} ({problem['place']}): {problem['reason']}", file=sys.stderr)
    print(
        f"{output}: {result.rows:,} vectors of {result.width} numbers from {result.records:,} records; "
        f"{result.skipped:,} skipped, {result.replaced:,} replaced"
    )
