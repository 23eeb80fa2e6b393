"""`vlcore embed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal


def embed(
    model: Path,
    manifest: Path,
    output: Path,
    image_root: Path | None = None,
    reader: str | None = None,
    batch_size: int = 64,
    on_bad_image: Literal["raise", "skip", "replace"] = "raise",
    device: str | None = None,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
) -> None:
    """Turn the images of a manifest into vectors: Parquet shards that any tool can read.

    Interrupted, run it again with the same arguments: it continues where it stopped.

    Examples:
        vlcore embed runs/model captions.jsonl -o vectors/
        vlcore embed runs/model photos/ -o vectors/ --on-bad-image skip
        RAY_ADDRESS=auto vlcore embed runs/model captions.jsonl -o /shared/vectors/ --engine ray --workers 16

    Args:
        model: model directory or hub id.
        manifest: JSONL, CSV, Parquet, webdataset tar, data set folder, or a folder of images.
        output: folder for `part-00000.parquet`, … and `embeddings.json`.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as medical/vqa_rad, its options behind a colon
            (medical/vqa_rad:protocol=strict); see `vlcore plugins`.
        batch_size: images per forward pass.
        on_bad_image: stop, leave the image out (counted), or put a grey one in its place (counted).
        device: cuda, mps or cpu; chosen if left out.
        engine: this process, or the workers of a Ray cluster (that of RAY_ADDRESS, or one on this machine).
        workers: of the engine `ray`; one per GPU, or one per two CPU cores, if left out.
    """
    from vlcore.data.manifest import open_manifest
    from vlcore.errors import ConfigurationError

    if engine == "local" and workers is not None:
        raise ConfigurationError("--workers is for --engine ray; one process embeds here.")
    source = open_manifest(manifest, image_root=image_root, reader=reader)
    options: dict[str, Any] = {"batch_size": batch_size, "on_bad_image": on_bad_image, "progress": True}
    if engine == "ray":
        from vlcore.retrieval.embed_ray import embed_with_ray

        result = embed_with_ray(model, source, output, workers=workers, device=device, **options)
    else:
        from vlcore.retrieval.embed import embed as embed_manifest
        from vlcore.retrieval.model import load

        result = embed_manifest(load(model, device), source, output, **options)
    for problem in result.problems:
        print(f"bad image {problem['id']} ({problem['place']}): {problem['reason']}", file=sys.stderr)
    print(
        f"{output}: {result.rows:,} vectors of {result.width} numbers from {result.records:,} records; "
        f"{result.skipped:,} skipped, {result.replaced:,} replaced"
    )
