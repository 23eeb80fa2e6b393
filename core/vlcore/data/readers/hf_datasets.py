"""Folders that Hugging Face `datasets` writes with `save_to_disk`, read straight from their Arrow files.

The files are memory-mapped, so the library itself is not needed and memory stays bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from vlcore.data.readers.arrow import batch_rows, batches, class_names, image_column, located, present, without_bytes
from vlcore.data.readers.rows import SourceRow
from vlcore.errors import ManifestError, Problem, UnsafePathError
from vlcore.files import contained

DATASET, SPLITS = "state.json", "dataset_dict.json"
"""Files that mark the folder of a `Dataset` and of a `DatasetDict`."""
_SPLIT_NAMES = {"validation": "val"}


def is_dataset_folder(path: Path) -> bool:
    """Whether `save_to_disk` wrote the folder."""
    return (path / DATASET).is_file() or (path / SPLITS).is_file()


class DatasetFolderReader:
    """Reads a `Dataset` or a `DatasetDict`, whose names become splits (`validation` is `val`).

    The default id is the row's number from 0, with its split in front: `train/7`.

    Args:
        path: of the folder.
        root: folder that image paths start from, where the images are not in the table.
        columns: own names of columns, by role.

    Raises:
        ManifestError: if the folder is incomplete.
    """

    format = "datasets"

    def __init__(self, path: Path, root: Path, columns: Mapping[str, str]) -> None:
        self.path = path
        self.root = root
        self._columns = columns
        if (path / DATASET).is_file():
            self._parts: list[tuple[str | None, list[Path]]] = [(None, _arrow_files(path))]
        else:
            names = _load(path, SPLITS).get("splits")
            if not isinstance(names, list) or not names:
                raise ManifestError(path, [Problem(SPLITS, f"'splits' is {names!r:.80}. It must be a list of names.")])
            self._parts = [(str(name), _arrow_files(_inside(path, str(name)))) for name in names]
        self.files = tuple(file for _, files in self._parts for file in files)

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row each, split after split.

        Raises:
            ManifestError: if a file is damaged or lacks the image column.
        """
        for split, files in self._parts:
            number = 0
            for file in files:
                try:
                    for row in self._file_rows(file, split, number):
                        yield row
                        number += 1
                except (pa.ArrowException, OSError) as error:
                    message = f"is no readable Arrow file: {error}. It may be truncated: save the data set again."
                    raise ManifestError(file, [Problem(file.name, message)]) from None

    def _file_rows(self, file: Path, split: str | None, number: int) -> Iterator[SourceRow]:
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
            image, classes = image_column(file, stream.schema, self._columns), class_names(stream.schema)
            row = 0
            for batch in batches(stream):
                embedded = present(batch.column(image.name)) if image.has_bytes else None
                for position, values in enumerate(batch_rows(without_bytes(batch, image), image, embedded, classes)):
                    if split is not None:
                        if "split" in values:
                            values["split_column"] = values["split"]
                        values["split"] = _SPLIT_NAMES.get(split, split)
                    here = embedded is not None and embedded[position].as_py()
                    name = str(number + row) if split is None else f"{split}/{number + row}"
                    yield located(file, image, row, values, name, here)
                    row += 1


def _arrow_files(folder: Path) -> list[Path]:
    state = _load(folder, DATASET)
    if state.get("_indices_data_files"):
        message = "the rows are selected by an index file. Save the data set again with datasets 2.0 or newer."
        raise ManifestError(folder, [Problem(DATASET, message)])
    try:
        files = [_inside(folder, entry["filename"]) for entry in state["_data_files"]]
    except (KeyError, TypeError):
        raise ManifestError(folder, [Problem(DATASET, "names no '_data_files'. Save the data set again.")]) from None
    if missing := [file.name for file in files if not file.is_file()]:
        message = f"names {missing}, which are not in the folder. Copy the data set again."
        raise ManifestError(folder, [Problem(DATASET, message)])
    return files


def _inside(folder: Path, name: str) -> Path:
    try:
        return contained(folder, name)
    except UnsafePathError as error:
        raise ManifestError(folder, [Problem("the folder", str(error))]) from None


def _load(folder: Path, name: str) -> dict[str, Any]:
    try:
        values = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(folder, [Problem(name, f"cannot be read: {error}. Save the data set again.")]) from None
    if not isinstance(values, dict):
        raise ManifestError(folder, [Problem(name, f"is {values!r:.60}. It must be a JSON object.")])
    return values
