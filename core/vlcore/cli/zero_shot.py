"""`vlcore classify`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vlcore.retrieval.zero_shot import ZeroShotResult


def classify(
    model: Path,
    images: list[str],
    *,
    labels: list[str],
    prompts: str = "photo",
    k: int = 3,
    format: Literal["table", "json", "csv"] = "table",
    output: Path | None = None,
    device: str | None = None,
) -> None:
    """Tell which of some labels fits each image best.

    Examples:
        vlcore classify runs/model a.jpg b.jpg --labels dog cat horse
        vlcore classify runs/model tiles/*.png --labels labels.txt --prompts aerial --format csv -o classes.csv

    Args:
        model: model directory or hub id.
        images: image files.
        labels: class names, or one text file with a name a line.
        prompts: sentences around the label: plain, photo, aerial, or a plugin's.
        k: number of labels shown for each image.
        format: table to read (csv in a file), json or csv for programs.
        output: file to write; standard output if left out.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.files import write_text
    from vlcore.retrieval.model import load

    if len(labels) == 1 and Path(labels[0]).is_file():
        lines = Path(labels[0]).read_text(encoding="utf-8").splitlines()
        labels = [line.strip() for line in lines if line.strip()]
    result = load(model, device).zero_shot(images, labels, prompts)
    rows = [
        {"image": image, "rank": rank, "label": label, "probability": probability}
        for image, best in zip(images, _best(result, k), strict=True)
        for rank, (label, probability) in enumerate(best, start=1)
    ]
    if format == "table" and output is None:
        from vlcore.cli.console import print_table

        cells = [(str(row["image"]), str(row["label"]), f"{row['probability']:.3f}") for row in rows]
        print_table(("image", "label", "probability"), cells)
        return
    text = json.dumps(rows, indent=2, ensure_ascii=False) + "\n" if format == "json" else _csv(rows)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        print(f"{output}: {len(images)} images")


def _best(result: ZeroShotResult, k: int) -> list[list[tuple[str, float]]]:
    """The k most probable labels of each image."""
    order = (-result.probability).argsort(axis=1, kind="stable")[:, :k]
    return [
        [(result.labels[place], round(float(row[place]), 6)) for place in places]
        for row, places in zip(result.probability, order, strict=True)
    ]


def _csv(rows: list[dict[str, object]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
