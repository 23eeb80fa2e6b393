"""Where sentences of a report end."""

from __future__ import annotations

import pytest

from vlcore_medical.reports.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Left apex.There are two.", ["Left apex.", "There are two."]),
        ("A nodule of 1.5 cm. Stable.", ["A nodule of 1.5 cm.", "Stable."]),
        ("1. No effusion. 2. Edema", ["No effusion.", "Edema"]),
        ("1) Clear lungs; 2) normal heart", ["Clear lungs;", "normal heart"]),
        ("Told to Dr. Smith.", ["Told to Dr. Smith."]),
        ("Fracture of T12. Clear.", ["Fracture of T12.", "Clear."]),
        ("no\n effusion\n\nClear", ["no\n effusion", "Clear"]),
        ("... 12. ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected
