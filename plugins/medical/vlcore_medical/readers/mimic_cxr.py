"""Reader of MIMIC-CXR and MIMIC-CXR-JPG: chest X-rays with their reports, several studies of a patient.

Layout: `files/p10/p10000032/s50414267/<dicom_id>.jpg` (or `.dcm`) with the report `files/p10/p10000032/s50414267.txt`,
beside `mimic-cxr-2.0.0-split.csv.gz`, `-metadata.csv.gz`, `-chexpert.csv.gz` and `-negbio.csv.gz` (JPG) or
`cxr-record-list.csv.gz`, and perhaps `mimic_cxr_sectioned.csv`; every table may be unpacked.

Source: A. E. W. Johnson et al., MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs,
arXiv 1901.07042.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record, Text
from vlcore.errors import ConfigurationError
from vlcore_medical.readers.findings import findings
from vlcore_medical.readers.images import find_image
from vlcore_medical.readers.protocol import SPLITS, check_choice, tell_counts
from vlcore_medical.readers.reports import read_report
from vlcore_medical.readers.studies import Exposure, Studies
from vlcore_medical.readers.tables import csv_by_key, csv_rows, require_folder

SECTIONS = ("findings", "impression", "last_paragraph", "comparison")
"""What `mimic_cxr_sectioned.csv` separates."""
_KEYS = ("subject_id", "study_id", "dicom_id")
_Tables = Mapping[str, Mapping[str, str]]


def read_mimic_cxr(
    path: Path | str,
    image_root: Path | None = None,
    report_root: Path | None = None,
    labeller: Literal["chexpert", "negbio"] = "chexpert",
) -> list[Record]:
    """Read images, each with the report of its study; the patient is the group.

    Args:
        path: folder of the tables.
        image_root: folder that `files/` of the images is in; `path` if left out.
        report_root: folder that `files/` of the reports is in; that of the images if left out.
        labeller: whose labels to take.

    Returns:
        Records with the report as it stands (kind `report`) and the sections of `mimic_cxr_sectioned.csv` where that
        file is; the labels of the study (1 present, 0 absent, -1 uncertain, left out where not mentioned); in `meta`
        `patient`, `study`, `view`, the other `views` of the study, and where a study of the patient was taken before
        it `prior_study` and `prior_images`. Study ids are not in the order of time: date and time of the metadata are.
        Images without a report are kept and counted in a warning.

    Raises:
        ConfigurationError: if there is neither a split table nor a list of records, or for another labeller.
        ManifestError: listing every bad line.
    """
    check_choice("labeller", labeller, ("chexpert", "negbio"))
    path = Path(path)
    require_folder(path, "the tables of MIMIC-CXR, such as mimic-cxr-2.0.0-split.csv.gz")
    images = image_root or path
    reports = report_root or images
    source = _table(path, "mimic-cxr-*-split") or _table(path, "cxr-record-list")
    if source is None:
        raise ConfigurationError(f"{path} holds neither mimic-cxr-2.0.0-split.csv.gz nor cxr-record-list.csv.gz.")
    rows = list(csv_rows(source, _KEYS))
    metadata = _keyed(path, "mimic-cxr-*-metadata", "dicom_id")
    known = [values for _, values in rows if isinstance(values, dict) and all(key in values for key in _KEYS)]
    release = _Release(
        metadata=metadata,
        labels=_keyed(path, f"mimic-cxr-*-{labeller}", "study_id"),
        sections=_keyed(path, "mimic_cxr_sectioned", "study"),
        studies=Studies(
            Exposure(_stem(one), one["subject_id"], one["study_id"], _time(metadata.get(one["dicom_id"], {})))
            for one in known
        ),
        # The images of a study follow each other and share one report.
        report=lru_cache(maxsize=64)(partial(read_report, reports)),
    )
    records = collect_records(source, rows, images, release.record)
    unread = sum(not any(text.kind == "report" for text in record.texts) for record in records)
    tell_counts(source, {f"of {len(records)} images without a report in {reports}": unread})
    return records


@dataclass(frozen=True)
class _Release:
    metadata: _Tables
    labels: _Tables
    sections: _Tables
    studies: Studies
    report: Callable[[str], str | None]

    def record(self, row: Row) -> Record:
        patient, study, dicom = (row.get(key, str) for key in _KEYS)
        if not re.fullmatch(r"\d{8}", patient) or not re.fullmatch(r"\d{8}", study):
            raise RowError(f"subject {patient!r} and study {study!r} must be numbers of eight digits.")
        stem = _stem(row.values)
        name, image = find_image(row, [f"{stem}.jpg", f"{stem}.dcm"])
        suffix = name.removeprefix(stem)
        split = row.get("split", str, None)
        prior = self.studies.prior(study)
        meta: dict[str, Any] = {
            "patient": patient,
            "study": study,
            "view": self.metadata.get(dicom, {}).get("ViewPosition"),
            "views": [f"{other}{suffix}" for other in self.studies.images(study) if other != stem],
            "prior_study": prior,
            "prior_images": [f"{other}{suffix}" for other in self.studies.images(prior)] if prior else [],
        }
        report = self.report(f"{_folder(patient)}/s{study}.txt")
        sections = self.sections.get(f"s{study}", {})
        return Record(
            id=dicom,
            image=image,
            texts=tuple(
                Text(words, lang="en", kind=kind)
                for kind, words in (("report", report), *((kind, sections.get(kind)) for kind in SECTIONS))
                if words
            ),
            group=patient,
            split=None if split is None else SPLITS.get(split, split),
            labels=findings(self.labels.get(study, {})),
            meta={key: value for key, value in meta.items() if value},
        )


def _folder(patient: str) -> str:
    return f"files/p{patient[:2]}/p{patient}"


def _stem(values: Mapping[str, Any]) -> str:
    return f"{_folder(values['subject_id'])}/s{values['study_id']}/{values['dicom_id']}"


def _time(values: Mapping[str, str]) -> tuple[float, ...] | None:
    """Date and time of day; the time is a number whose leading zeros are gone."""
    try:
        return float(values["StudyDate"]), float(values["StudyTime"])
    except (KeyError, ValueError):
        return None


def _table(folder: Path, name: str) -> Path | None:
    return next((path for suffix in (".csv.gz", ".csv") for path in sorted(folder.glob(name + suffix))), None)


def _keyed(folder: Path, name: str, key: str) -> _Tables:
    """Rows of a table by one of its columns; none if the release has no such table."""
    path = _table(folder, name)
    return {} if path is None else csv_by_key(path, key)
