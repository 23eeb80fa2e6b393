"""Reader of covid-chestxray: X-rays of the chest with clinical notes and findings.

Layout: a file of JSON Lines with `image`, `patient`, `split`, `finding`, `view`, `clinical_notes` and more, beside
the folder that its image paths start from.

Source: J. P. Cohen et al., COVID-19 Image Data Collection, arXiv 2006.11988.
"""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import Row, collect_records, json_lines
from vlcore.data.record import Record, Text

UNLABELLED = ("", "todo", "unknown", "?")
"""How the source writes that nobody has said."""


def read_covid_cxr(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read chest X-rays; notes repeat within a patient, so the patient is the group.

    Args:
        path: `data.jsonl`.
        image_root: folder that image paths start from; the file's own if left out.

    Returns:
        Records with the clinical notes as a text of kind `notes` (none where the source has none) and the labels
        `finding` and `view` where somebody has said them.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    return collect_records(path, json_lines(path), image_root or path.parent, _record)


def _record(row: Row) -> Record:
    image = row.get("image", str)
    notes = " ".join(row.get("clinical_notes", str, "").split())
    labels = {key: row.get(key, str, "") for key in ("finding", "view")}
    return Record(
        id=image,
        image=row.image(image),
        texts=(Text(notes, lang="en", kind="notes"),) if notes else (),
        group=row.get("patient", str),
        split=row.get("split", str, None),
        labels={key: value for key, value in labels.items() if value.lower() not in UNLABELLED},
        meta={key: row.values[key] for key in ("sex", "age", "modality", "license") if row.values.get(key)},
    )
