"""Reader of captioned tiles in the layout that A. Karpathy gave to Flickr8k: RSICD, UCM-Captions, Sydney-Captions.

Layout: one JSON file `{"images": [{"filename": …, "split": …, "sentences": [{"raw": …}, …]}, …]}`, the images beside
it or in a sub-folder. What counts is `raw`: in RSICD some `tokens` are those of another sentence.

Source: X. Lu et al., Exploring Models and Data for Remote Sensing Image Caption Generation, arXiv 1712.07835.
"""

from __future__ import annotations

import re
from pathlib import Path

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore_remote_sensing.readers.image_folder import image_folder
from vlcore_remote_sensing.readers.json_file import json_list, with_places
from vlcore_remote_sensing.readers.splits import split_name

FOLDERS = ("RSICD_images", "imgs", "images")
"""Sub-folders of the published archives."""


def read_karpathy(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read tiles with their captions.

    Args:
        path: the JSON file, such as `dataset_rsicd.json`.
        image_root: folder of the images, or one with a sub-folder of `FOLDERS`; the file's own if left out.

    Returns:
        Records with all captions in order, repeated ones too. Where file names begin with the scene, as in
        `baseballfield_12.jpg`, it becomes the label `label`. The split `valid` of some copies is `val`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad image by its place in the list and its file name.
    """
    path = Path(path)
    images = json_list(path, "images")
    folder = karpathy_folder(images, image_root or path.parent)
    return collect_records(path, with_places("image", images, "filename"), folder, _record)


def karpathy_folder(images: list[object], root: Path) -> Path:
    """Folder that the file names of a list of images start from."""
    first = images[0].get("filename") if images and isinstance(images[0], dict) else None
    return image_folder(root, first, FOLDERS)


def scene_of(name: str) -> str | None:
    """The scene that a file name begins with: `baseballfield` of `baseballfield_12.jpg`; None for `00623.jpg`."""
    found = re.fullmatch(r"(?:.*/)?([A-Za-z]+)_\d+\.\w+", name)
    return found[1].lower() if found else None


def english_caption(raw: str) -> Text:
    """A caption with single spaces between its words."""
    return Text(" ".join(raw.split()), lang="en")


def _record(row: Row) -> Record:
    name = row.get("filename", str)
    captions = []
    for sentence in row.get("sentences", list):
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if not isinstance(raw, str) or not raw.strip():
            raise RowError(f"the sentence {sentence!r:.80} has no words in 'raw'. Write or remove it.")
        captions.append(english_caption(raw))
    scene = scene_of(name)
    return Record(
        id=name,
        image=row.image(name),
        texts=tuple(captions),
        split=split_name(row.get("split", str, None)),
        labels={} if scene is None else {"label": scene},
    )
