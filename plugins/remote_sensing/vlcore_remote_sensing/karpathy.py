"""Reader of captioned tiles in the layout that A. Karpathy gave to Flickr8k: RSICD, UCM-Captions, Sydney-Captions.

Layout: one JSON file `{"images": [{"filename": …, "split": …, "sentences": [{"raw": …}, …]}, …]}`.

Source: X. Lu et al., Exploring Models and Data for Remote Sensing Image Caption Generation, arXiv 1712.07835.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, require_file
from vlcore.data.record import Record, Text
from vlcore.errors import ManifestError, Problem


def read_karpathy(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read tiles with their captions.

    Args:
        path: the JSON file, such as `dataset_rsicd.json`.
        image_root: folder of the images; the file's own if left out.

    Returns:
        Records with all captions in order, repeated ones too. Where file names begin with the scene, as in
        `baseballfield_12.jpg`, it becomes the label `label`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad image by its place in the list and its file name.
    """
    path = Path(path)
    return collect_records(path, _images(path), image_root or path.parent, _record)


def _images(path: Path) -> Iterator[tuple[str, Any]]:
    require_file(path)
    try:
        images = json.loads(path.read_text(encoding="utf-8-sig"))["images"]
        if not isinstance(images, list):
            raise TypeError(f"'images' is a {type(images).__name__}, not a list")
    except json.JSONDecodeError as error:
        raise ManifestError(path, [Problem(f"line {error.lineno}", f"is not JSON: {error.msg}.")]) from None
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        message = f'does not hold {{"images": [...]}} ({error}). Give the annotation file of the data set.'
        raise ManifestError(path, [Problem("the file", message)]) from None
    for number, image in enumerate(images, start=1):
        name = image.get("filename") if isinstance(image, dict) else None
        yield f"image {number}" + (f" ({name})" if isinstance(name, str) else ""), image


def _record(row: Row) -> Record:
    name = row.get("filename", str)
    captions = []
    for sentence in row.get("sentences", list):
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if not isinstance(raw, str) or not raw.strip():
            raise RowError(f"the sentence {sentence!r:.80} has no words in 'raw'. Write or remove it.")
        captions.append(Text(" ".join(raw.split()), lang="en"))
    scene = re.fullmatch(r"(?:.*/)?([A-Za-z]+)_\d+\.\w+", name)
    return Record(
        id=name,
        image=row.image(name),
        texts=tuple(captions),
        split=row.get("split", str, None),
        labels={"label": scene[1].lower()} if scene else {},
    )
