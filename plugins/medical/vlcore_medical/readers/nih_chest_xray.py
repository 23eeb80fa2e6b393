"""Reader of NIH ChestX-ray14: frontal chest X-rays with labels mined from their reports.

Layout: `Data_Entry_2017.csv` or `Data_Entry_2017_v2020.csv` beside `train_val_list.txt`, `test_list.txt` and the
images, in `images/` or in `images_001/images/` to `images_012/images/`.

Source: X. Wang et al., ChestX-ray8, arXiv 1705.02315.
"""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore_medical.readers.images import ImageFiles
from vlcore_medical.readers.tables import csv_rows

_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "View Position")


def read_nih_chest_xray(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images; the patient is the group, and the official lists keep patients apart.

    Args:
        path: the CSV file. The official lists beside it give the split, `train` for the one of train and val;
            without them there is none.
        image_root: folder that the images lie under, at any depth; that of the file if left out.

    Returns:
        Records with the label `findings`, a list (`No Finding` alone for none); in `meta` the `view` (PA or AP), `age`
        and `sex` as the source writes them, and `follow_up`, the number of the image in the patient's series.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line, and images that are on both lists or on none.
    """
    path = Path(path)
    folder = image_root or path.parent
    files = ImageFiles(folder, (".png",))
    lists = {
        split: set((path.parent / name).read_text(encoding="utf-8").split())
        for name, split in _LISTS.items()
        if (path.parent / name).is_file()
    }
    return collect_records(path, csv_rows(path, _COLUMNS), folder, lambda row: _record(row, files, lists))


def _record(row: Row, files: ImageFiles, lists: dict[str, set[str]]) -> Record:
    name, patient = row.get("Image Index", str), row.get("Patient ID", str)
    if not patient.strip().isdecimal():
        raise RowError(f"'Patient ID' is {patient!r}. It must be a whole number.")
    splits = [split for split, names in lists.items() if name in names]
    if lists and len(splits) != 1:
        raise RowError(f"the image {name!r} is on {len(splits)} of the lists {', '.join(_LISTS)}. It must be on one.")
    follow_up = row.get("Follow-up #", str, "")
    meta = {
        "view": row.get("View Position", str),
        "age": row.get("Patient Age", str, ""),
        "sex": row.get("Patient Gender", str, row.get("Patient Sex", str, "")),
        "follow_up": int(follow_up) if follow_up.isdecimal() else "",
    }
    return Record(
        id=name,
        image=files.find(row, [name]),
        group=f"{int(patient):08d}",  # one release writes 1, another 00000001
        split=splits[0] if splits else None,
        labels={"findings": [one.strip() for one in row.get("Finding Labels", str).split("|") if one.strip()]},
        meta={key: value for key, value in meta.items() if value != ""},
    )
