"""Files of generated reports beside the ones that a person wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vlcore.data.reader import Row, RowError, collect_records
from vlcore_medical.reports.report_rows import report_rows


@dataclass(frozen=True, slots=True)
class GeneratedReport:
    """One study: what a model wrote, and what it should have written."""

    id: str
    generated: str
    reference: str


def read_generated(path: Path) -> list[GeneratedReport]:
    """Read a `.csv` or `.jsonl` file with `id`, `generated` and `reference`; a generated report may be empty.

    Raises:
        ConfigurationError: if there is no such file, or it has another suffix.
        ManifestError: listing every bad row.
    """
    build: Callable[[Row], GeneratedReport] = _generated
    return collect_records(path, report_rows(path), path.parent, build)


def _generated(row: Row) -> GeneratedReport:
    identifier = row.get("id", int if isinstance(row.values.get("id"), int) else str)
    reference: str = row.get("reference", str)
    if not reference.strip():
        raise RowError("'reference' has no words. Leave the study out: there is nothing to compare with.")
    return GeneratedReport(str(identifier), row.get("generated", str), reference)
