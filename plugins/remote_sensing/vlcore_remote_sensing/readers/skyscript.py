"""Readers of SkyScript: aerial and satellite images with captions made of OpenStreetMap tags, and its benchmarks.

Layout: CSV files such as `SkyScript_train_top30pct_filtered_by_CLIP_openai.csv` with `filepath`, `title` and
sometimes `title_multi_objects`; images as `images2/a198234555_CH_19.jpg`: kind of OSM object (area, way, node) and its
number, code of the image source, year. The metadata of the data set are pickles, which can run any code: they are
never opened. Its benchmarks are `img_txt_pairs_{train,val,test}.csv` with `filepath` and `label` beside
`classnames.txt`.

Source: Z. Wang et al., SkyScript, arXiv 2312.12856.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records, require_file
from vlcore.data.readers.paths import ImageFolder
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.readers.csv_table import csv_rows
from vlcore_remote_sensing.readers.splits import SPLITS
from vlcore_remote_sensing.readers.text_lines import text_lines

_KINDS = {"a": "area", "w": "way", "n": "node"}


def read_skyscript(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read captioned images.

    Args:
        path: a CSV file of the data set.
        image_root: folder of `images2` to `images7`; the file's own if left out.

    Returns:
        Records with `title` as caption and `title_multi_objects`, where it says more, as a text of kind
        `caption_multi_objects`. Several images show one OSM object, so the object is the group; its kind and number,
        the source and the year are in the meta. The split is the one in the name of the file.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    split = _split_in(path.stem)
    root = image_root or path.parent
    images = ImageFolder(root)
    rows = csv_rows(path, ("filepath", "title"))
    return collect_records(path, rows, root, lambda row: _captioned(row, images, split))


def read_skyscript_benchmark(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images of a classification benchmark.

    Args:
        path: `…img_txt_pairs_{train,val,test}.csv`, beside `classnames.txt`.
        image_root: folder that the file paths start from; the file's own if left out.

    Returns:
        Records without texts, with the class as `label`; where the file gives its number, the name is looked up.

    Raises:
        ConfigurationError: if the file or `classnames.txt` does not exist.
        ManifestError: listing every bad line of either file, and labels that are no class.
    """
    path = Path(path)
    require_file(path)
    names_file = path.parent / "classnames.txt"
    if not names_file.is_file():
        raise ConfigurationError(f"{names_file} is missing. Copy it there: it names the classes of {path.name}.")
    names = [line for line in text_lines(names_file) if line]
    split = _split_in(path.stem)
    root = image_root or path.parent
    images = ImageFolder(root)

    def record(row: Row) -> Record:
        name = row.get("filepath", str)
        label = _class_name(row.get("label", str).strip(), names)
        return Record(id=name, image=ImageRef(images.locate(name)), split=split, labels={"label": label})

    return collect_records(path, csv_rows(path, ("filepath", "label")), root, record)


def _captioned(row: Row, images: ImageFolder, split: str | None) -> Record:
    name = row.get("filepath", str)
    title = " ".join(row.get("title", str).split())
    if not title:
        raise RowError("'title' is blank. Write a caption, or remove the row.")
    texts = [Text(title, lang="en")]
    more = " ".join(row.get("title_multi_objects", str, "").split())
    if more and more != title:
        texts.append(Text(more, lang="en", kind="caption_multi_objects"))
    group, meta = _osm_object(name)
    image = ImageRef(images.locate(name))
    return Record(id=name, image=image, texts=tuple(texts), group=group, split=split, meta=meta)


def _osm_object(name: str) -> tuple[str | None, dict[str, Any]]:
    """The object that a file name tells of; none where the name was changed."""
    found = re.fullmatch(r"([awn])(\d+)_([A-Za-z0-9]+)_(\d\d)", PurePosixPath(name).stem)
    if found is None:
        return None, {}
    kind, number, source, year = found.groups()
    meta = {"osm_type": _KINDS[kind], "osm_id": int(number), "source": source, "year": 2000 + int(year)}
    return f"{kind}{number}", meta


def _class_name(label: str, names: list[str]) -> str:
    if label in names:
        return label
    if label.isdecimal() and int(label) < len(names):
        return names[int(label)]
    raise RowError(f"the label {label!r} is none of the {len(names)} classes of classnames.txt. Mend one of them.")


def _split_in(stem: str) -> str | None:
    words = stem.split("_")
    return next((split for split in SPLITS if split in words), None)
