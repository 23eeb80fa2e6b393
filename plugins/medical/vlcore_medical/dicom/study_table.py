"""The study table: one row per image, ordered within each patient, without any date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlcore.errors import ConfigurationError
from vlcore.files import atomic_write
from vlcore_medical.dicom.study import StudyImage

FILE_NAME = "studies.parquet"

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "preview", "patient", "study", "series", "instance")),
        *((name, pa.string()) for name in ("modality", "view", "laterality", "body_part")),
        ("day", pa.int32()),  # days since the patient's first study; null without a date
        ("study_order", pa.int32()),  # 0 for the patient's first study; null without a date
        *((name, pa.int32()) for name in ("rows", "columns", "frames", "frame")),
        *((name, pa.string()) for name in ("photometric", "transfer_syntax")),
        ("burned_in", pa.bool_()),
        ("warnings", pa.list_(pa.string())),
    ]
)


def table_rows(images: Sequence[StudyImage]) -> list[dict[str, Any]]:
    """Rows in the order patient, time, series, image; dates become days since the patient's first study.

    Two files that name one instance both get the warning `shared_instance_uid`.
    """
    shared = {name for name, count in Counter(image.instance for image in images).items() if count > 1}
    studies: dict[str, dict[str, datetime]] = {}
    for image in images:
        if image.moment is not None:
            own = studies.setdefault(image.patient, {})
            # Images of one study can differ in the seconds, where the time stands in for a missing one.
            own[image.study] = min(own.get(image.study, image.moment), image.moment)
    order = {patient: sorted(own, key=lambda study: (own[study], study)) for patient, own in studies.items()}
    rows = []
    for image in images:
        own = studies.get(image.patient, {})
        known = image.study in own
        row = {name: getattr(image, name) for name in SCHEMA.names if hasattr(image, name)}
        row["preview"] = f"previews/{image.id}.png"
        row["warnings"] = sorted({*image.warnings, *(["shared_instance_uid"] if image.instance in shared else [])})
        row["day"] = (own[image.study].date() - min(own.values()).date()).days if known else None
        row["study_order"] = order[image.patient].index(image.study) if known else None
        place = (row["study_order"] if known else len(own), image.study, image.series_number, image.instance_number)
        rows.append(((image.patient, *place, image.id), row))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def write_study_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as Parquet, whole or not at all."""
    with atomic_write(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), temporary)


def read_study_table(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a study table.

    Args:
        path: the file, or the folder that holds it.

    Raises:
        ConfigurationError: if there is no such file, or it is another table.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise ConfigurationError(
            f"{file} is no file. Make the study table first: vlcore medical ingest DICOM_FOLDER --output {path}"
        )
    try:
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError):
        raise ConfigurationError(f"{file} is no Parquet file. Make the study table again.") from None
    if missing := [name for name in SCHEMA.names if name not in table.column_names]:
        raise ConfigurationError(f"{file} lacks the columns {', '.join(missing)}. Make the study table again.")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
