"""Reader of RSITMD: aerial tiles with five captions each, finer than those of RSICD.

Layout: `dataset_RSITMD.json` in Karpathy's form beside the folder `images`. There are the splits `train` and `test`
and none to validate on; the class is what a file name begins with, as in `baseballfield_452.tif`. Copies from before
the update of 2021-10-28 hold blank captions.

Source: Z. Yuan et al., Exploring a Fine-Grained Multiscale Method for Cross-Modal Remote Sensing Image Retrieval,
arXiv 2204.09868.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore_remote_sensing.readers.json_file import json_list, with_places
from vlcore_remote_sensing.readers.karpathy import english_caption, karpathy_folder, scene_of
from vlcore_remote_sensing.readers.left_out import report_left_out


def read_rsitmd(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read tiles with their captions; blank captions are left out, and a warning says how many.

    Args:
        path: `dataset_RSITMD.json`.
        image_root: folder of the images or of their folder `images`; the file's own if left out.

    Returns:
        Records with all captions in order and the class as `label`.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every image that is bad, has no class in its name, or no caption at all.
    """
    path = Path(path)
    images = json_list(path, "images")
    left_out: Counter[str] = Counter()
    records = collect_records(
        path,
        with_places("image", images, "filename"),
        karpathy_folder(images, image_root or path.parent),
        lambda row: _record(row, left_out),
    )
    report_left_out(path, left_out)
    return records


def _record(row: Row, left_out: Counter[str]) -> Record:
    name = row.get("filename", str)
    scene = scene_of(name)
    if scene is None:
        raise RowError(f"the file name {name!r} does not begin with a class, as 'airport_1.tif' does. Restore it.")
    captions = []
    for sentence in row.get("sentences", list):
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if not isinstance(raw, str):
            raise RowError(f"the sentence {sentence!r:.80} has no text in 'raw'. Write or remove it.")
        if raw.strip():
            captions.append(english_caption(raw))
        else:
            left_out["blank captions"] += 1
    if not captions:
        raise RowError("has no caption. Write one, or remove the image.")
    return Record(
        id=name,
        image=row.image(name),
        texts=tuple(captions),
        split=row.get("split", str),
        labels={"label": scene},
    )
