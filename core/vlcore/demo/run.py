"""The whole way, from images to report, on a rendered corpus or on the user's own manifest."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from vlcore.align.run import Alignment, align
from vlcore.data.manifest import open_manifest
from vlcore.demo.scenes import render_corpus
from vlcore.files import write_text


def run_demo(
    folder: Path, data: Path | None = None, *, lang: str | None = None, scenes: int = 1200, reader: str | None = None
) -> tuple[Alignment, Path]:
    """Render or open a manifest, align, evaluate, report, and write `metrics.json`.

    Args:
        folder: run folder.
        data: the user's manifest; the rendered corpus if left out.
        lang: keep the captions of this language only.
        scenes: how many scenes to render.
        reader: a plugin's reader of the user's manifest.

    Returns:
        The alignment and the manifest it was made from.
    """
    start = time.monotonic()
    rendered = data is None
    manifest = render_corpus(folder / "corpus", count=scenes, progress=True) if data is None else data
    alignment = align(
        open_manifest(manifest, lang=lang, reader=None if rendered else reader),
        folder,
        lang=lang,
        prompts="aerial" if rendered else "photo",
        title="vlcore demo",
        # The corpus is the demo's own, and so is its cache: nothing is left in the user's home.
        cache=folder / "cache" if rendered else None,
    )
    write_text(folder / "metrics.json", json.dumps(metrics(alignment, time.monotonic() - start), indent=2) + "\n")
    return alignment, manifest


def metrics(alignment: Alignment, seconds: float) -> dict[str, Any]:
    """The headline numbers, per cent, with the floors under them."""
    values: dict[str, Any] = {"seconds": round(seconds, 1), "chosen": alignment.candidates[0].name}
    if alignment.result is None or alignment.result.retrieval is None:
        return values
    standard = alignment.result.retrieval["standard"]
    floor = standard["floor"]["closed_form"]
    for prefix, scores in (("", standard), ("chance_", standard["chance"]), ("floor_", floor)):
        values[f"{prefix}mean_recall"] = round(scores["mean_recall"], 2)
        values[f"{prefix}t2i_r1"] = round(scores["text_to_image"]["r1"], 2)
        values[f"{prefix}i2t_r1"] = round(scores["image_to_text"]["r1"], 2)
    return values
