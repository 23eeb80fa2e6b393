"""`vlcore align`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vlcore.align.run import Alignment


def align(
    manifest: Path,
    output: Path,
    image_encoder: str = "starter/efficientnet_lite0",
    text_encoder: str = "starter/minilm_layers",
    method: Literal["auto", "closed_form", "learned"] = "auto",
    lang: str | None = None,
    image_root: Path | None = None,
    reader: str | None = None,
    group: str | None = None,
    folds: int = 3,
    seed: int = 0,
    prompts: str = "photo",
    labels_key: str = "label",
    cache: Path | None = None,
    batch_size: int = 64,
    on_bad_image: Literal["raise", "skip", "replace"] = "raise",
    bootstrap: int = 1000,
    device: str | None = None,
) -> None:
    """Make a searchable model from captioned images: encode, try alignments, choose, save, score, report.

    Two frozen towers are joined by a closed-form alignment or by learned heads, whichever does better on held-out
    parts of the training split. The test split is looked at once, at the end. Features are cached: a second run
    encodes nothing again.

    Examples:
        vlcore align captions.jsonl -o runs/photos
        vlcore align captions.csv -o runs/photos --lang en --on-bad-image skip
        vlcore align tiles.jsonl -o runs/tiles --prompts aerial --image-encoder timm/resnet50

    Args:
        manifest: JSONL, CSV, TSV, Parquet, a folder of images with .txt files, a datasets folder, or webdataset tars.
        output: run folder: model/, evaluation.json, report.html and figures.
        image_encoder: image tower, `source/name`; `vlcore doctor` lists the sources.
        text_encoder: text tower, `source/name`.
        method: try everything, or one kind only.
        lang: keep the captions of this language only.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as medical/vqa_rad, its options behind a colon
            (medical/vqa_rad:protocol=strict); see `vlcore plugins`.
        group: column whose equal values a split keeps together, such as patient.
        folds: held-out parts of the training split.
        seed: of folds, heads and bootstrap.
        prompts: sentences around class names: plain, photo, aerial, or a plugin's.
        labels_key: label to classify by.
        cache: folder of cached features; $VLCORE_CACHE or ~/.cache/vlcore if left out.
        batch_size: images per forward pass.
        on_bad_image: stop, leave the image out (counted), or put a grey one in its place (counted).
        bootstrap: resamples of the 95 % intervals.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.align.run import align as run
    from vlcore.data.manifest import open_manifest

    alignment = run(
        open_manifest(
            manifest, image_root=image_root, reader=reader, lang=lang, columns={"group": group} if group else {}
        ),
        output,
        image_encoder=image_encoder,
        text_encoder=text_encoder,
        method=method,
        folds=folds,
        seed=seed,
        lang=lang,
        prompts=prompts,
        labels_key=labels_key,
        cache=cache,
        batch_size=batch_size,
        on_bad_image=on_bad_image,
        device=device,
        bootstrap=bootstrap,
    )
    print_alignment(alignment)
    print_next(alignment, manifest)


def print_alignment(alignment: Alignment) -> None:
    """Print what was tried, the scores, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    from vlcore.cli.evaluate import print_scores

    table = Table(title="Tried on held-out training data (per cent)", title_justify="left")
    for name in ("", "alignment", "mean recall", "settings"):
        table.add_column(name)
    for place, candidate in enumerate(alignment.candidates):
        settings = ", ".join(f"{key} {value}" for key, value in candidate.settings.items())
        mark = "chosen" if place == 0 else ""
        table.add_row(mark, candidate.name, f"{candidate.mean:.1f}", settings)
    Console().print(table)
    if alignment.result is not None:
        print_scores(alignment.result)
    total = sum(alignment.seconds.values())
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in alignment.seconds.items())
    print(f"Model:  {alignment.folder / 'model'}")
    print(f"Report: {alignment.report}")
    print(f"Seconds: {total:.1f} ({stages})")


def print_next(alignment: Alignment, manifest: Path) -> None:
    """Print three commands that use the model."""
    model = alignment.folder / "model"
    index = alignment.folder / "index"
    print("\nNext:")
    print(f"  vlcore index {model} {manifest} -o {index}")
    print(f'  vlcore search {index} "what you are looking for"')
    print(f"  vlcore classify {model} IMAGE --labels LABEL LABEL")
