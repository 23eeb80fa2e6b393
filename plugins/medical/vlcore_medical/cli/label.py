"""`vlcore medical label`."""

from __future__ import annotations

from pathlib import Path


def label(reports: Path, output: Path) -> None:
    """Label the findings of radiology reports, with the sentence that each label rests on.

    By rules, offline, without weights: positive, negative, uncertain, or not mentioned. Reports are rows with an `id`
    and either `findings` and `impression`, or a whole `report`, whose sections are then found.

    Examples:
        vlcore medical label reports.jsonl -o labels.csv
        vlcore medical label reports.csv -o labels.jsonl

    Args:
        reports: CSV or JSONL, by its suffix.
        output: CSV (one column per label, one per evidence) or JSONL, by its suffix.
    """
    from vlcore_medical.reports.label_file import label_file

    counts = label_file(reports, output)
    print(f"{output}: {counts.pop('reports'):,} reports, {counts.pop('empty'):,} of them without a text to read")
    for name, count in counts.items():
        print(f"  {name}: {count:,} positive")
