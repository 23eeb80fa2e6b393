"""Reader of CheXpert: chest X-rays with 14 observations, each present, absent or uncertain.

Layout: `train.csv`, `valid.csv` and perhaps `test.csv` beside `train/patient00001/study1/view1_frontal.jpg` and so on.
The column `Path` begins with the name that the folder once had, such as `CheXpert-v1.0-small/`.

Source: J. Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison,
arXiv 1901.07031. The 5x200 images: S.-C. Huang et al., GLoRIA, ICCV 2021.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_medical.readers.findings import findings
from vlcore_medical.readers.protocol import SPLITS, Protocol, check_choice, without_leaks
from vlcore_medical.readers.tables import csv_rows, in_file, require_folder

_FILES = ("train.csv", "valid.csv", "test.csv")


def read_chexpert(
    path: Path | str, image_root: Path | None = None, held_out: Path | None = None, protocol: Protocol = "paper"
) -> list[Record]:
    """Read images; the patient is the group.

    Args:
        path: folder of the tables, or one of them.
        image_root: folder that holds `train/` and `valid/`; that of the tables if left out.
        held_out: table whose column `Path` names training images that become `test`, such as those of CheXpert 5x200.
        protocol: under `paper` other images of held-out patients stay in train; `strict` leaves them out, counted.

    Returns:
        Records with the labels that are mentioned: 1 present, 0 absent, -1 uncertain; in `meta` the `study`, the `view`
        (AP, PA, LL, RL, Frontal or Lateral), `sex` and `age`.

    Raises:
        ConfigurationError: if there is no table, or for another protocol.
        ManifestError: listing every bad line, or held-out images that are not in the tables.
    """
    check_choice("protocol", protocol, ("paper", "strict"))
    path = Path(path)
    folder = image_root or (path if path.is_dir() else path.parent)
    records = collect_records(path, _rows(path), folder, _record)
    if held_out is not None:
        named = _held_out(held_out, {record.id for record in records})
        records = [replace(record, split="test") if record.id in named else record for record in records]
    return records if protocol == "paper" else without_leaks(path, records)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    files = [path]
    if path.suffix != ".csv":
        require_folder(path, "train.csv and valid.csv of CheXpert")
        files = [file for name in _FILES if (file := path / name).is_file()]
    if not files:
        raise ConfigurationError(f"{path} holds none of {', '.join(_FILES)}.")
    for file in files:
        yield from in_file(file, csv_rows(file, ["Path"]))


def _held_out(path: Path, known: set[str]) -> set[str]:
    named, problems = set(), []
    for place, values in csv_rows(path, ["Path"]):
        try:
            if isinstance(values, RowError):
                raise values
            name = parts_of(values.get("Path", ""))[0]
            if name not in known:
                raise RowError(f"the image {name!r} is not in the tables. Read those that hold it.")
            named.add(name)
        except RowError as error:
            problems.append(Problem(place, str(error)))
    if problems:
        raise ManifestError(path, problems)
    return named


def parts_of(path: str) -> tuple[str, str, str, str]:
    """Name inside the folder, split, patient and study of a `Path`, whatever the folder is called.

    Raises:
        RowError: if it has another form.
    """
    match = re.fullmatch(r"(?:.*/)?((train|valid|test)/(patient\d+)/(study\d+)/[^/]+)", path)
    if match is None:
        raise RowError(f"the path {path!r} must end in split/patient/study/view: train/patient00001/study1/….jpg.")
    return match[1], SPLITS.get(match[2], match[2]), match[3], f"{match[3]}/{match[4]}"


def _record(row: Row) -> Record:
    name, split, patient, study = parts_of(row.get("Path", str))
    view = row.get("AP/PA", str, "") or row.get("Frontal/Lateral", str, "")
    meta = {"study": study, "view": view, "sex": row.get("Sex", str, ""), "age": row.get("Age", str, "")}
    return Record(
        id=name,
        image=row.image(name),
        group=patient,
        split=split,
        labels=findings(row.values),
        meta={key: value for key, value in meta.items() if value},
    )
