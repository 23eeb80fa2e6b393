"""`vlcore curate`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from vlcore.data.record import Record


def curate(
    model: Path,
    manifest: Path,
    concepts: Path,
    output: Path,
    per_concept: int = 50,
    prompts: str = "photo",
    image_root: Path | None = None,
    reader: str | None = None,
    batch_size: int = 64,
    device: str | None = None,
) -> None:
    """Choose a balanced part of a manifest to train on: the images that show each of some concepts best.

    Images that are the same file are taken once. The new manifest has all texts of the chosen images and their concept
    as a label.

    Examples:
        vlcore curate runs/model captions.jsonl concepts.txt -o balanced.jsonl --per-concept 100
        vlcore curate runs/model tiles.jsonl scenes.txt -o balanced.jsonl --prompts aerial

    Args:
        model: model directory or hub id.
        manifest: JSONL, CSV, Parquet, data set folder, or a folder of images; the images are files.
        concepts: text file with one concept a line.
        output: JSONL manifest to write.
        per_concept: most images of a concept.
        prompts: sentences around the concept: plain, photo, aerial, or a plugin's.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own; see `vlcore plugins`.
        batch_size: images per forward pass.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.cli.console import print_table
    from vlcore.data.curation import curate as choose
    from vlcore.data.manifest import open_manifest
    from vlcore.data.record import ImageRef
    from vlcore.files import sha256_file, write_text
    from vlcore.retrieval.model import load
    from vlcore.retrieval.prompts import prompt_set
    from vlcore.retrieval.zero_shot import label_embeddings

    if output.exists():
        raise ConfigurationError(f"{output} is there already: name another file, or remove it.")
    names = _concepts(concepts)
    records = list(open_manifest(manifest, image_root=image_root, reader=reader))
    if parts := [record for record in records if record.image != ImageRef(record.image.path)]:
        raise ConfigurationError(
            f"{parts[0].image} is part of an archive, a raster or a video, which a line cannot name. Write the images "
            f"as files, and curate those."
        )
    loaded = load(model, device)
    prototypes = label_embeddings(loaded, names, prompt_set(prompts))
    features = loaded.embed_images([record.image for record in records], batch_size, progress=True)
    found = choose(features, prototypes, per_concept, [sha256_file(record.image.path) for record in records])
    root = Path(os.path.commonpath([record.image.path.absolute().parent for record in records]))
    lines = [
        json.dumps(_row(records[row], root, names[concept]), ensure_ascii=False)
        for row, concept in zip(found.chosen.tolist(), found.concept.tolist(), strict=True)
    ]
    write_text(output, "".join(f"{line}\n" for line in lines))
    print_table(("concept", "images"), [(name, str(count)) for name, count in zip(names, found.counts, strict=True)])
    missing = int((found.counts == 0).sum())
    print(
        f"{output}: {len(lines):,} of {len(records):,} images; {found.duplicates:,} doubles passed over"
        + (f"; no image is nearest to {missing} concepts" if missing else "")
    )
    if output.absolute().parent != root:
        print(f"Its image paths start from {root}: give it with --image-root {root} (data.image_root).")


def _concepts(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigurationError(f"There is no file {path}: write one with a concept a line.")
    try:
        # Editors of Windows begin a file with a mark that would become part of the first concept.
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is no UTF-8 text ({error.reason} at byte {error.start}). Save it so."
        ) from None
    places = {name: number for number, name in enumerate(names, start=1) if name}
    if not places:
        raise ConfigurationError(f"{path} names no concept: write one a line.")
    for number, name in enumerate(names, start=1):
        if name and places[name] != number:
            raise ConfigurationError(f"{path}, line {places[name]}: {name!r} is in line {number} already. Remove one.")
    return [name for name in names if name]


def _row(record: Record, root: Path, concept: str) -> dict[str, Any]:
    optional = {"group": record.group, "split": record.split, "meta": dict(record.meta)}
    return {
        "image": record.image.path.absolute().relative_to(root).as_posix(),
        "id": record.id,
        "texts": [{"text": text.text, "lang": text.lang, "kind": text.kind} for text in record.texts],
        "labels": {**record.labels, "concept": concept},
        **{name: value for name, value in optional.items() if value},
    }
