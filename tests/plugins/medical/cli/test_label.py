"""`vlcore medical label`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore_medical.cli.label import label


def test_the_command_writes_labels_and_prints_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = tmp_path / "reports.csv"
    reports.write_text("id,findings\na,Mild cardiomegaly.\nb,\n", encoding="utf-8")
    label(reports, tmp_path / "labels.jsonl")
    printed = capsys.readouterr().out
    assert "labels.jsonl: 2 reports, 1 of them without a text to read" in printed
    assert "  Cardiomegaly: 1 positive" in printed
    assert len((tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()) == 2
