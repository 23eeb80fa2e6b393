"""Reader of BigEarthNet: Sentinel-2 patches of 1.2 x 1.2 km with several land cover classes each.

Layout of version 1: `BigEarthNet-v1.0/<patch>/<patch>_B02.tif`, twelve files of one band each, beside
`<patch>_labels_metadata.json`, and lists such as `train.csv`. Of version 2: `metadata.parquet` beside
`BigEarthNet-S2/<tile>/<patch>/<patch>_B02.tif`. Version 1 has 43 classes, version 2 those 19 that they were joined
into.

Source: G. Sumbul et al., BigEarthNet, arXiv 1902.06148; K. N. Clasen et al., reBEN, arXiv 2407.03653.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem, UnsafePathError
from vlcore.files import contained
from vlcore_remote_sensing.readers.bigearthnet_labels import CLASSES_19, joined_labels, require_class
from vlcore_remote_sensing.readers.json_file import read_json
from vlcore_remote_sensing.readers.splits import read_split_lists, split_name

BANDS = {
    "B01": 60,
    "B02": 10,
    "B03": 10,
    "B04": 10,
    "B05": 20,
    "B06": 20,
    "B07": 20,
    "B08": 10,
    "B8A": 20,
    "B09": 60,
    "B11": 20,
    "B12": 20,
}
"""Metres a pixel: the files of a patch have 120, 60 or 20 pixels a side."""

_FIRST = "B04"
_SUFFIX = "_labels_metadata.json"


def read_bigearthnet(path: Path | str) -> list[Record]:
    """Read patches of either version.

    Args:
        path: folder with `metadata.parquet` (version 2), that of the patches, or that of `BigEarthNet-v1.0`.

    Returns:
        Records without texts. The image is the file of the red band, B04; the meta `bands` names all twelve, relative
        to `path`; `BANDS` says how large their pixels are. The label `labels` lists classes of the 19, `labels_43`
        those of version 1. A patch of version 1 whose classes were all dropped has an empty list. The Sentinel-2 tile
        is the group.

    Raises:
        ConfigurationError: if there are no patches.
        ManifestError: listing every patch that lacks a band or its labels, or has a label that is no class.
    """
    path = Path(path)
    if (path / "metadata.parquet").is_file():
        return collect_records(path / "metadata.parquet", _rows_of_2(path), path, _record_of_2)
    if not path.is_dir():
        raise ConfigurationError(f"{path} is no folder. Give that of the data set.")
    inner = path / "BigEarthNet-v1.0"
    patches = sorted(entry.name for entry in (inner if inner.is_dir() else path).iterdir() if entry.is_dir())
    if not patches:
        raise ConfigurationError(f"{path} has neither metadata.parquet nor folders of patches. Give that of one.")
    lists = read_split_lists((path, path.parent), ".csv")
    _require_patches(path, lists, set(patches))
    prefix = "BigEarthNet-v1.0/" if inner.is_dir() else ""

    def record(row: Row) -> Record:
        name = row.get("patch", str)
        return _record_of_1(row, name, f"{prefix}{name}", lists.get(name, (None, ""))[0])

    return collect_records(path, ((f"patch {name}", {"patch": name}) for name in patches), path, record)


def _require_patches(path: Path, lists: Mapping[str, tuple[str, str]], patches: set[str]) -> None:
    problems = [
        Problem(place, f"the patch {name!r} is not there. Restore its folder or remove the line.")
        for name, (_, place) in lists.items()
        if name not in patches
    ]
    if problems:
        raise ManifestError(path, problems)


def _record_of_1(row: Row, patch: str, folder: str, split: str | None) -> Record:
    bands = _bands(row.folder, folder, patch)
    labels_file = row.folder / folder / f"{patch}{_SUFFIX}"
    if not labels_file.is_file():
        raise RowError(f"has no {labels_file.name}. Extract the archive again.")
    try:
        facts = read_json(labels_file)
    except ManifestError as error:
        raise RowError(f"{labels_file.name}, {error.problems[0]}") from None
    labels = Row(facts if isinstance(facts, dict) else {}, row.folder).get("labels", list)
    return Record(
        id=patch,
        image=row.image(bands[_FIRST]),
        group=_tile(patch),
        split=split,
        labels={"labels": joined_labels(labels), "labels_43": labels},
        meta={"bands": bands},
    )


def _rows_of_2(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow.parquet as pq

    file = path / "metadata.parquet"
    table = pq.ParquetFile(file)
    columns = ("patch_id", "labels", "split")
    if missing := [name for name in columns if name not in table.schema_arrow.names]:
        message = f"has no column {', '.join(missing)}; its columns are {', '.join(table.schema_arrow.names)}."
        raise ManifestError(file, [Problem("the file", message)])
    number = 0
    for batch in table.iter_batches(columns=list(columns)):
        for row in batch.to_pylist():
            number += 1
            yield f"row {number} ({row['patch_id']})", row


def _record_of_2(row: Row) -> Record:
    patch = row.get("patch_id", str)
    labels = row.get("labels", list)
    for label in labels:
        require_class(label, CLASSES_19, len(CLASSES_19))
    bands = _bands(row.folder, f"BigEarthNet-S2/{_tile(patch)}/{patch}", patch)
    return Record(
        id=patch,
        image=row.image(bands[_FIRST]),
        group=_tile(patch),
        split=split_name(row.get("split", str)),
        labels={"labels": labels},
        meta={"bands": bands},
    )


def _tile(patch: str) -> str:
    """The Sentinel-2 product of a patch: its name without column and row."""
    return patch.rsplit("_", 2)[0]


def _bands(root: Path, folder: str, patch: str) -> dict[str, str]:
    """The twelve files of a patch, relative to the root."""
    try:
        # One listing instead of twelve questions: there are 590,326 patches.
        inside = {entry.name for entry in contained(root, folder).iterdir()}
    except (UnsafePathError, OSError) as error:
        raise RowError(f"the folder {folder!r} cannot be listed ({error}). Extract the archive again.") from None
    files = {band: f"{patch}_{band}.tif" for band in BANDS}
    if missing := [name for name in files.values() if name not in inside]:
        raise RowError(f"lacks {', '.join(missing)}. Extract the archive again.")
    return {band: f"{folder}/{name}" for band, name in files.items()}
