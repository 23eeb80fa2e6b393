"""Reader of the Medical Segmentation Decathlon and of other sets in its layout, which MONAI uses.

Layout: `dataset.json` with `modality`, `labels`, `numTraining`, `training` (`{"image": "./imagesTr/a.nii.gz", "label":
"./labelsTr/a.nii.gz"}`) and `test` (paths, or tables with `image`).

Source: M. Antonelli et al., The Medical Segmentation Decathlon, arXiv 2106.05735.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from vlcore.data.reader import Row, collect_records
from vlcore.data.record import Record
from vlcore.errors import ManifestError, Problem
from vlcore_medical.readers.tables import json_file, listed

_COUNTS = {"training": "numTraining", "test": "numTest"}


def read_msd(path: Path | str) -> list[Record]:
    """Read volumes with their masks; every volume is a patient of its own.

    Args:
        path: `dataset.json`.

    Returns:
        Records whose image is a NIfTI volume; in `meta` the `mask` (train only), `modality` (names of its channels, in
        order) and `classes` (name of each number in the mask).

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad volume, and counts that do not fit the lists.
    """
    path = Path(path)
    values = json_file(path)
    if not isinstance(values, dict) or not all(isinstance(values.get(key), dict) for key in ("modality", "labels")):
        message = "does not hold the tables 'modality' and 'labels'. Give dataset.json."
        raise ManifestError(path, [Problem("the file", message)])
    told = {"modality": list(values["modality"].values()), "classes": dict(values["labels"])}
    rows = [row for part in _COUNTS for row in _volumes(path, values, part)]
    return collect_records(path, rows, path.parent, lambda row: _record(row, told))


def _volumes(path: Path, values: dict[str, Any], part: str) -> Iterator[tuple[str, Any]]:
    volumes = values.get(part, [])
    count = values.get(_COUNTS[part])
    if isinstance(volumes, list) and count is not None and count != len(volumes):
        message = f"is {count!r}, but {part!r} lists {len(volumes)} volumes. Download the archive again."
        raise ManifestError(path, [Problem(_COUNTS[part], message)])
    split = "train" if part == "training" else part
    for place, volume in listed(path, volumes, f"{part} volume"):
        volume = {"image": volume} if isinstance(volume, str) else volume
        yield place, {**volume, "split": split} if isinstance(volume, dict) else volume


def _record(row: Row, told: dict[str, Any]) -> Record:
    name, split = row.get("image", str), row.get("split", str)
    case = PurePosixPath(name).name.removesuffix(".gz").removesuffix(".nii")
    meta = dict(told)
    if split == "train":
        meta["mask"] = str(PurePosixPath(row.get("label", str)))
        row.image(meta["mask"])
    return Record(id=case, image=row.image(name), group=case, split=split, meta=meta)
