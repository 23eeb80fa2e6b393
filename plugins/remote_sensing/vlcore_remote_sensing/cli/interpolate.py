"""`vlcore remote-sensing interpolate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def interpolate(
    base: Path,
    tuned: Path,
    output: Path,
    *,
    manifest: Path,
    split: str = "val",
    lang: str | None = None,
    image_root: Path | None = None,
    reader: str | None = None,
    alphas: list[float] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],  # noqa: B006 (read only)
    score: Literal["mean_recall", "accuracy"] | None = None,
    prompts: str = "remote_sensing/aerial",
    labels_key: str = "label",
    batch_size: int = 64,
    device: str | None = None,
) -> None:
    """Go part of the way from a base model to a tuned one, so that less is forgotten.

    Weights in between are scored on records that neither model was trained on, and that no score will be reported on;
    the best are written as a model directory.

    Examples:
        vlcore remote-sensing interpolate runs/base/model runs/rs_m_clip/model -o runs/between --manifest clean.jsonl
        vlcore remote-sensing interpolate base tuned -o between --manifest eurosat.csv --split all --score accuracy

    Args:
        base: model directory that training started from.
        tuned: model directory that it ended with.
        output: folder of the model to write.
        manifest: held-out records with texts, labels, or both.
        split: which of them; `all` for every record.
        lang: keep the captions of this language only.
        image_root: folder that the manifest's image paths start from; the manifest's own if left out.
        reader: a plugin's reader for a layout of its own, such as remote_sensing/karpathy; see `vlcore plugins`.
        alphas: places to score; 0 is the base, 1 the tuned model.
        score: to choose by; mean_recall if there are captions, else accuracy.
        prompts: sentences around class names: plain, photo, aerial, or a plugin's.
        labels_key: label to classify by.
        batch_size: images per forward pass.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.cli.console import print_table
    from vlcore.data.manifest import open_manifest
    from vlcore.hub.model_directory import save_model_directory
    from vlcore.retrieval.model import load
    from vlcore_remote_sensing.interpolation.choose import best_alpha, interpolation_curve
    from vlcore_remote_sensing.interpolation.report import interpolation_card
    from vlcore_remote_sensing.interpolation.weights import interpolate_weights

    first, second = load(base, "cpu"), load(tuned, "cpu")
    source = open_manifest(manifest, image_root=image_root, reader=reader, lang=lang)
    points = interpolation_curve(
        first.network,
        second.network,
        source,
        split=None if split == "all" else split,
        alphas=alphas,
        device=device,
        done=lambda point: print(f"alpha {point.alpha:g} is scored", file=sys.stderr),
        lang=lang,
        prompts=prompts,
        labels_key=labels_key,
        batch_size=batch_size,
    )
    chosen = best_alpha(points, score)
    rows = [
        (f"{point.alpha:g}", _cell(point.mean_recall), _cell(point.accuracy), "chosen" if point.alpha == chosen else "")
        for point in points
    ]
    print_table(("alpha", "mean recall", "accuracy", ""), rows, title=f"From {base} to {tuned} (per cent)")
    card = interpolation_card(first, second, source, split, points, chosen, output.resolve().name)
    fingerprint = save_model_directory(output, interpolate_weights(first.network, second.network, chosen), card)
    print(f"{output}: the model at alpha {chosen:g} (fingerprint {fingerprint[:12]})")


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
