"""Reader of CheXpert Plus: the chest X-rays of CheXpert with their reports.

Layout: `df_chexpert_plus_240401.csv` with `path_to_image`, `report`, columns `section_…`, `deid_patient_id`,
`patient_report_date_order`, `frontal_lateral`, `ap_pa`, `sex` and `age`, beside `train/` and `valid/`.

Source: P. Chambon et al., CheXpert Plus, arXiv 2405.19538.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore_medical.readers.chexpert import parts_of
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.protocol import tell_counts
from vlcore_medical.readers.studies import Exposure, Studies
from vlcore_medical.readers.tables import csv_rows

_PREFIX = "section_"
_ORDER = "patient_report_date_order"


def read_chexpert_plus(path: Path | str, image_root: Path | None = None) -> list[Record]:
    """Read images, each with its own report; the patient is the group.

    Args:
        path: the CSV file.
        image_root: folder that holds `train/` and `valid/`; that of the file if left out. Where the named `.jpg` is
            not there, the `.png` or `.dcm` is taken.

    Returns:
        Records with the report as it stands (kind `report`) and the sections that have words (kinds `findings`,
        `impression`, `clinical_history` and so on); in `meta` the `study`, `view`, `sex`, `age` and, where a study of
        the patient was reported before, `prior_study`. Images of one study may carry different reports: each keeps
        its own, and such studies are counted in a warning.

    Raises:
        ConfigurationError: if the file does not exist.
        ManifestError: listing every bad line.
    """
    path = Path(path)
    rows = list(csv_rows(path, ["path_to_image", "section_findings", "section_impression"]))
    studies = Studies(exposure for _, values in rows if (exposure := _exposure(values)) is not None)
    records = collect_records(path, rows, image_root or path.parent, lambda row: _record(row, studies))
    texts: defaultdict[str, set[tuple[Text, ...]]] = defaultdict(set)
    for record in records:
        texts[record.meta["study"]].add(record.texts)
    differing = sum(len(found) > 1 for found in texts.values())
    tell_counts(path, {f"of {len(texts)} studies whose images carry different reports": differing})
    return records


def _exposure(values: Any) -> Exposure | None:
    try:
        name, _, patient, study = parts_of(values["path_to_image"])
        return Exposure(name, values.get("deid_patient_id", patient), study, (float(values[_ORDER]),))
    except (RowError, TypeError, KeyError, ValueError):  # reported, or without an order
        return None


def _record(row: Row, studies: Studies) -> Record:
    name, split, patient, study = parts_of(row.get("path_to_image", str))
    sections = {
        key.removeprefix(_PREFIX): " ".join(value.split())
        for key, value in row.values.items()
        if key.startswith(_PREFIX) and key != "section_accession_number"
    }
    report = row.get("report", str, "")
    meta = {
        "study": study,
        "view": row.get("ap_pa", str, "") or row.get("frontal_lateral", str, ""),
        "sex": row.get("sex", str, ""),
        "age": row.get("age", str, ""),
        "prior_study": studies.prior(study),
    }
    texts = {"report": report, **sections}
    return Record(
        id=name,
        image=find_image(row, [name, *(str(PurePosixPath(name).with_suffix(end)) for end in (".png", ".dcm"))])[1],
        texts=tuple(Text(words, lang="en", kind=kind) for kind, words in texts.items() if words),
        group=row.get("deid_patient_id", str, patient),
        split=split,
        meta={key: value for key, value in meta.items() if value},
    )
