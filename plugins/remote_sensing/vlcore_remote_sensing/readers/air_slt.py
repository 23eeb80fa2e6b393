"""Reader of AIR-SLT: sentences and where in a large aerial scene they are true, for semantic localisation.

Layout: `annotations/anno.json`, a list of `{"caption", "jpg_name", "points": [[[x, y], …], …]}`, polygons in pixels
from the upper left corner, beside the folder `imgs` of scenes. A scene has several sentences.

Source: Z. Yuan et al., Learning to Evaluate Performance of Multi-modal Semantic Localization, arXiv 2209.06515.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore_remote_sensing.readers.image_folder import image_folder
from vlcore_remote_sensing.readers.json_file import json_list, with_places

FOLDERS = ("imgs", "images")


def read_air_slt(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read the sentences, each with its scene.

    Args:
        path: folder with `annotations/anno.json`.
        image_root: folder of the scenes, or one with a sub-folder of `FOLDERS`; `path` if left out.

    Returns:
        A record a sentence: the sentence as caption, the polygons in which it is true as the meta `polygons` (lists of
        `[x, y]` in pixels), and the scene as group. The id is `<scene>/<place in the list>`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every sentence that is blank or has no polygon of three points.
    """
    # The folder rather than the file, so that the images lie inside of what the reader is given.
    path = Path(path) / "annotations" / "anno.json"
    sentences = json_list(path)
    first = sentences[0].get("jpg_name") if sentences and isinstance(sentences[0], dict) else None
    folder = image_folder(image_root or path.parent.parent, first, FOLDERS)
    rows = (
        (place, {**values, "number": number} if isinstance(values, dict) else values)
        for number, (place, values) in enumerate(with_places("sentence", sentences, "jpg_name"), start=1)
    )
    return collect_records(path, rows, folder, _record)


def _record(row: Row) -> Record:
    name = row.get("jpg_name", str)
    caption = " ".join(row.get("caption", str).split())
    if not caption:
        raise RowError("'caption' is blank. Write the sentence, or remove the row.")
    polygons = row.get("points", list)
    if not polygons:
        raise RowError("'points' is empty. A sentence needs a polygon in which it is true.")
    for number, polygon in enumerate(polygons, start=1):
        if not isinstance(polygon, list) or len(polygon) < 3 or not all(map(_is_point, polygon)):
            raise RowError(f"polygon {number} is {polygon!r:.80}. It needs at least three points [x, y].")
    return Record(
        id=f"{name}/{row.get('number', int)}",
        image=row.image(name),
        texts=(Text(caption, lang="en"),),
        group=name,
        meta={"polygons": polygons},
    )


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and math.isfinite(value) for value in point)
    )
