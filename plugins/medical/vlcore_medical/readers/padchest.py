"""Reader of PadChest: chest X-rays with Spanish reports, findings and their anatomical places.

Layout: `PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv` (or `.gz`) with one row for each image, beside folders
named in `ImageDir`, or all images in one folder.

Source: A. Bustos et al., PadChest: A large chest x-ray image dataset with multi-label annotated reports,
arXiv 1901.07441.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.studies import Exposure, Studies
from vlcore_medical.readers.tables import csv_rows

_COLUMNS = ("ImageID", "StudyID", "PatientID", "StudyDate_DICOM", "Projection", "Report", "MethodLabel", "Labels")


def read_padchest(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images; the patient is the group.

    Args:
        path: the CSV file.
        image_root: folder that holds the folders of images, or the images; that of the file if left out.

    Returns:
        Records with the report, which the source has reduced to word stems, in Spanish; the labels `findings` (stray
        spaces removed), `places` and `cuis` (concepts of UMLS); in `meta` the `study`, `view` (PA, L, AP,
        AP_horizontal, COSTAL, EXCLUDE or UNK), who labelled it (`labelled_by`: Physician or RNN_model), `sex`, and
        `prior_study`, the latest study of the patient on an earlier day.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    rows = list(csv_rows(path, _COLUMNS))
    studies = Studies(
        Exposure(values["ImageID"], values["PatientID"], values["StudyID"], _day(values.get("StudyDate_DICOM", "")))
        for _, values in rows
        if isinstance(values, dict) and {"ImageID", "PatientID", "StudyID"} <= values.keys()
    )
    return collect_records(path, rows, image_root or path.parent, lambda row: _record(row, studies))


def _day(date: str) -> tuple[float, ...] | None:
    return (float(date),) if date.isdecimal() else None


def _record(row: Row, studies: Studies) -> Record:
    name, study = row.get("ImageID", str), row.get("StudyID", str)
    report = " ".join(row.get("Report", str, "").split())
    meta = {
        "study": study,
        "view": row.get("Projection", str, ""),
        "labelled_by": row.get("MethodLabel", str, ""),
        "sex": row.get("PatientSex_DICOM", str, ""),
        "prior_study": studies.prior(study),
    }
    return Record(
        id=name,
        image=find_image(row, [f"{row.get('ImageDir', str, '.')}/{name}", name])[1],
        texts=(Text(report, lang="es", kind="report"),) if report else (),
        group=row.get("PatientID", str),
        labels={
            "findings": _names(row, "Labels"),
            "places": _names(row, "Localizations"),
            # Written by numpy, without commas.
            "cuis": re.findall(r"C\d{7}", row.get("labelCUIS", str, "")),
        },
        meta={key: value for key, value in meta.items() if value},
    )


def _names(row: Row, key: str) -> list[str]:
    """A list of names that stands in a cell as Python writes it; spaces around them and empty ones are removed."""
    cell = row.get(key, str, "[]")
    if cell.strip().lower() == "nan":
        return []
    try:
        names: Any = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowError(f"{key!r} is {cell!r:.80}. It must be a list of names, such as ['normal'].")
    return [name.strip() for name in names if name.strip()]
