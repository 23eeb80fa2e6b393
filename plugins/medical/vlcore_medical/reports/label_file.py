"""Labels of a file of reports, written to a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore.files import atomic_write
from vlcore_medical.reports.findings import ReportFindings, find, label_names
from vlcore_medical.reports.report_rows import check_suffix, report_rows
from vlcore_medical.reports.sections import split_sections


def label_file(reports: Path, output: Path) -> dict[str, int]:
    """Label every report of a file.

    Args:
        reports: `.csv` or `.jsonl` with `id` and either `findings` and `impression` or `report`.
        output: `.csv` or `.jsonl`; written whole or not at all.

    Returns:
        How many `reports` there are, how many are `empty`, and how many state each label.

    Raises:
        ConfigurationError: if a suffix is another one, both paths are one file, or the reports do not exist.
        ManifestError: listing every bad row; then nothing is written.
    """
    for path in (reports, output):
        check_suffix(path)
    if reports.resolve() == output.resolve():
        raise ConfigurationError(f"{output} is the file of the reports. Name another file for the labels.")
    labelled: dict[str, ReportFindings] = {}
    places: dict[str, str] = {}
    problems = []
    counts = {"reports": 0, "empty": 0, **dict.fromkeys(label_names(), 0)}
    for place, values in report_rows(reports):
        try:
            identifier, text = _report(values, reports.parent)
            if identifier in places:
                raise RowError(f"the id {identifier!r} is also on {places[identifier]}. Remove one of them.")
        except RowError as error:
            problems.append(Problem(place, str(error)))
            continue
        places[identifier] = place
        labelled[identifier] = found = find(text)
        counts["reports"] += 1
        counts["empty"] += not text.strip()
        for name in found.positive():
            counts[name] += 1
    if not labelled and not problems:
        problems.append(Problem("the file", "holds no rows."))
    if problems:
        raise ManifestError(reports, problems)
    write = _write_csv if output.suffix.lower() == ".csv" else _write_jsonl
    with atomic_write(output) as temporary:
        write(temporary, labelled)
    return counts


def _report(values: Any, folder: Path) -> tuple[str, str]:
    """Id and what the report states."""
    if isinstance(values, RowError):
        raise values
    if not isinstance(values, Mapping):
        raise RowError(f"is {values!r:.80}. It must be a JSON object.")
    row = Row(values, folder)
    identifier = row.get("id", int if isinstance(values.get("id"), int) else str)
    if "findings" in values or "impression" in values:
        return str(identifier), "\n\n".join((row.get("findings", str, ""), row.get("impression", str, "")))
    if "report" not in values:
        raise RowError("has no text: give 'findings' and 'impression', or 'report'.")
    return str(identifier), split_sections(row.get("report", str, "")).statement()


def _write_csv(path: Path, labelled: Mapping[str, ReportFindings]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["id", *label_names(), *(f"{name} evidence" for name in label_names())])
        for identifier, found in labelled.items():
            status = [found.status[name] for name in label_names()]
            writer.writerow([identifier, *status, *(found.evidence(name) for name in label_names())])


def _write_jsonl(path: Path, labelled: Mapping[str, ReportFindings]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for identifier, found in labelled.items():
            labels = {
                name: {"status": status, "evidence": found.evidence(name)} for name, status in found.status.items()
            }
            lines.write(json.dumps({"id": identifier, "labels": labels}, ensure_ascii=False) + "\n")
