"""Reader of NWPU-Captions: the tiles of RESISC45 with five captions each.

Layout: `dataset_nwpu.json`, one object from class to a list of `{"filename", "split", "raw", "raw_1", … "raw_4"}`,
and the images as `NWPU_images/<class>/<class>_001.jpg`.

Source: Q. Cheng et al., NWPU-Captions Dataset and MLCA-Net for Remote Sensing Image Captioning, IEEE TGRS 2022,
doi 10.1109/TGRS.2022.3201474.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ManifestError, Problem
from vlcore_remote_sensing.readers.image_folder import image_folder
from vlcore_remote_sensing.readers.json_file import read_json
from vlcore_remote_sensing.readers.karpathy import english_caption
from vlcore_remote_sensing.readers.scene_names import readable_scene
from vlcore_remote_sensing.readers.splits import split_name

CAPTIONS = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")
FOLDERS = ("NWPU_images",)


def read_nwpu_captions(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read tiles with their captions.

    Args:
        path: `dataset_nwpu.json`.
        image_root: folder of the class folders, or of their folder `NWPU_images`; the file's own if left out.

    Returns:
        Records with the five captions in order, their odd characters (ligatures, full-width letters) decomposed by
        Unicode's NFKD as in the published loader, and the class as `label`. The id is `<class>/<file name>`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad image by its class, its place in the list and its file name.
    """
    path = Path(path)
    classes = read_json(path)
    if not isinstance(classes, dict) or not all(isinstance(images, list) for images in classes.values()):
        message = 'does not hold {"<class>": [...], …}. Give the annotation file of the data set.'
        raise ManifestError(path, [Problem("the file", message)])
    rows = list(_rows(classes))
    first = next((values.get("path") for _, values in rows if isinstance(values, dict)), None)
    return collect_records(path, rows, image_folder(image_root or path.parent, first, FOLDERS), _record)


def _rows(classes: dict[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    for scene, images in classes.items():
        for number, image in enumerate(images, start=1):
            place = f"{scene}, image {number}"
            name = image.get("filename") if isinstance(image, dict) else None
            if isinstance(name, str):
                yield f"{place} ({name})", {**image, "class": scene, "path": f"{scene}/{name}"}
            else:
                yield place, image


def _record(row: Row) -> Record:
    row.get("filename", str)
    captions = []
    for key in CAPTIONS:
        caption = english_caption(unicodedata.normalize("NFKD", row.get(key, str)))
        if not caption.text:
            raise RowError(f"{key!r} has no words. Write a caption.")
        captions.append(caption)
    path = row.get("path", str)
    return Record(
        id=path,
        image=row.image(path),
        texts=tuple(captions),
        split=split_name(row.get("split", str, None)),
        labels={"label": readable_scene(row.get("class", str))},
    )
