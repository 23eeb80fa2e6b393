"""Marks of de-identification."""

from __future__ import annotations

import json
from pathlib import Path

from vlcore_medical.reports.deidentification import hidden_words, mask_hidden_words


def test_marks_of_three_archives_become_one_mask() -> None:
    text = "XXXX-year-old ___ seen by [**Doctor Last\nName 12**] on 5XXXX, XXXX."
    assert mask_hidden_words(text) == "[MASK]-year-old [MASK] seen by [MASK] on 5[MASK], [MASK]."
    assert [text[start:end] for start, end in hidden_words(text)][1] == "___"
    assert mask_hidden_words("XXXX", mask=r"\1") == r"\1"


def test_a_dividing_line_and_words_with_an_x_hide_nothing() -> None:
    for text in ("_" * 40, "XXX", "x-ray", "hydropneumothorax", "a_b"):
        assert hidden_words(text) == []


def test_how_many_real_reports_hide_words(data_root: Path) -> None:
    lines = (data_root / "medical" / "iu_reports" / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 3955
    assert sum(bool(hidden_words(row["findings"] + " " + row["impression"])) for row in rows) == 1855
