"""Reader of `annotation.json`, the layout that R2Gen and its successors use for IU X-Ray and MIMIC-CXR.

Layout: `{"train": [{"id": …, "report": …, "image_path": ["CXR1_1_IM-0001/0.png", …], "split": "train"}, …], "val": …,
"test": …}` beside `images/`; for MIMIC-CXR every entry also has `subject_id` and `study_id`.

Source: Z. Chen et al., Generating Radiology Reports via Memory-driven Transformer, arXiv 2010.16056.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore.errors import ManifestError, Problem
from vlcore_medical.readers.questions import identifier
from vlcore_medical.readers.tables import json_file, listed

_SPLITS = ("train", "val", "test")


def read_r2gen(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images, each with its report.

    Args:
        path: `annotation.json`.
        image_root: folder that image paths start from; `images` beside the file if left out.

    Returns:
        Records with the report as one text; the group is the patient where the file says so, otherwise the report. In
        `meta` the `study`, and the other `views` in the order of the file, which does not tell frontal from lateral.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad report and image.
    """
    path = Path(path)
    values = json_file(path)
    if not isinstance(values, dict) or not all(split in values for split in _SPLITS):
        message = 'does not hold {"train": [...], "val": [...], "test": [...]}. Give annotation.json.'
        raise ManifestError(path, [Problem("the file", message)])
    rows = (row for split in _SPLITS for row in _images(path, values[split], split))
    return collect_records(path, rows, image_root or path.parent / "images", _record)


def _images(path: Path, reports: Any, split: str) -> Iterator[tuple[str, Any]]:
    for place, report in listed(path, reports, f"{split} report"):
        images = report.get("image_path") if isinstance(report, dict) else None
        if not isinstance(images, list) or not images:
            yield place, RowError(f"'image_path' is {images!r:.80}. It must be a list with one or more paths.")
        elif report.get("split", split) != split:
            yield (
                place,
                RowError(f"'split' is {report['split']!r}, but it stands under {split!r}. Correct one."),
            )
        else:
            for number, image in enumerate(images, start=1):
                yield f"{place}, image {number}", {**report, "image": image, "split": split}


def _record(row: Row) -> Record:
    name, study = row.get("image", str), identifier(row, "id")
    words = " ".join(row.get("report", str).split())
    return Record(
        id=name,
        image=row.image(name),
        texts=(Text(words, lang="en", kind="report"),) if words else (),
        group=identifier(row, "subject_id") if "subject_id" in row.values else study,
        split=row.get("split", str),
        meta={
            "study": identifier(row, "study_id") if "study_id" in row.values else study,
            "views": [other for other in row.get("image_path", list) if other != name],
        },
    )
