"""`vlcore index`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def index(
    model: Path,
    manifest: Path,
    output: Path,
    image_root: Path | None = None,
    reader: str | None = None,
    batch_size: int = 64,
    on_bad_image: Literal["raise", "skip", "replace"] = "raise",
    ann_from: int = 50_000,
    device: str | None = None,
) -> None:
    """Make images searchable by words, or bring their index up to date.

    An index that exists gets what is new or changed; unchanged images are not embedded again. Interrupted, run it
    again: it continues where it stopped.

    Examples:
        vlcore index runs/model captions.jsonl -o photos.index
        vlcore index runs/model photos/ -o photos.index

    Args:
        model: model directory or hub id.
        manifest: JSONL, CSV, Parquet, webdataset tar, data set folder, or a folder of images.
        output: folder of the index.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as medical/vqa_rad, its options behind a colon
            (medical/vqa_rad:protocol=strict); see `vlcore plugins`.
        batch_size: images per forward pass.
        on_bad_image: stop, leave the image out (counted), or put a grey one in its place (counted).
        ann_from: number of images from which search is approximate.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.data.manifest import open_manifest
    from vlcore.retrieval.build_index import build_index
    from vlcore.retrieval.model import load

    made, report = build_index(
        load(model, device),
        open_manifest(manifest, image_root=image_root, reader=reader),
        output,
        batch_size=batch_size,
        on_bad_image=on_bad_image,
        ann_from=ann_from,
        progress=True,
    )
    if report.decoding.bad:
        print(report.decoding.summary(), file=sys.stderr)
    print(
        f"{output}: {len(made):,} images; {report.new:,} new, {report.replaced:,} replaced, {report.unchanged:,} "
        f"unchanged, {report.decoding.skipped:,} skipped"
    )
    print(f"columns for --where: {', '.join(f'{name} ({kind})' for name, kind in made.columns.items())}")
