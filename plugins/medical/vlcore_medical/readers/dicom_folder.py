"""Reader of a folder that `vlcore medical ingest` wrote: previews of DICOM images, grouped by patient."""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import Row, collect_records
from vlcore.data.record import Record
from vlcore_medical.dicom.study_table import FILE_NAME, read_study_table

LABELS = ("modality", "view", "laterality", "body_part")
META = ("study", "series", "day", "study_order", "rows", "columns", "frames", "transfer_syntax")


def read_dicom_folder(path: Path | str) -> list[Record]:
    """Read the images of a study table.

    Args:
        path: the folder, or its `studies.parquet`.

    Returns:
        Records in the order patient, time, series, image: the preview as the image, the pseudonym of the patient as the
        group, and the coded values that the file had as labels. They have no texts: headers hold none that is safe.

    Raises:
        ConfigurationError: if there is no study table.
        ManifestError: listing rows whose preview is gone.
    """
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    rows = ((f"row {number}", row) for number, row in enumerate(read_study_table(path), start=1))
    return collect_records(file, rows, file.parent, _record)


def _record(row: Row) -> Record:
    labels = {name: row.get(name, str, "") for name in LABELS}
    meta = {name: row.values[name] for name in META if row.values[name] is not None}
    return Record(
        id=row.get("id", str),
        image=row.image(row.get("preview", str)),
        group=row.get("patient", str),
        labels={name: value for name, value in labels.items() if value},
        meta={**meta, "warnings": " ".join(row.get("warnings", list, []))},
    )
