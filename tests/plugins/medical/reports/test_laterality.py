"""Sides, and texts of mirrored images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore_medical.reports.laterality import UnsafeMirrorError, mirrored, one_sided_anatomy, side_mentions

SWAPS = [
    ("Right-sided effusion, left lower lobe opacity.", "Left-sided effusion, right lower lobe opacity."),
    ("LEFT greater than right.", "RIGHT greater than left."),
    ("LLL and RUL opacity, R base, Lt apex, rt. hilum", "RLL and LUL opacity, L base, Rt apex, lt. hilum"),
    ("Mild dextroscoliosis, leftward shift.", "Mild levoscoliosis, rightward shift."),
    ("Bilateral effusions.", "Bilateral effusions."),
    ("Fracture of L1 and L5; L-spine; bright, cleft, upright, leftover.",) * 2,
    ("The tube was left in place right away, all right.",) * 2,
    ("The tube was left\nin place.",) * 2,
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), SWAPS)
def test_sides_change_places_and_back(text: str, expected: str) -> None:
    assert mirrored(text) == expected
    assert mirrored(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "Tip in the right atrium.",
        "Tip in the right\n atrium.",
        "Enlarged left and right atria.",
        "Fluid in the minor fissure.",
        "Leads in the right atrium and left ventricle.",
        "The right heart border is obscured.",
        "Right middle lobe opacity.",
        "Lingular atelectasis.",
        "Left-sided aortic arch.",
        "Left ventricular enlargement, small left effusion.",
        "Dextrocardia.",
        "Surgical clips after cholecystectomy.",
        "RML opacity.",
        "LV enlargement.",
    ],
)
def test_one_sided_anatomy_is_refused(text: str) -> None:
    with pytest.raises(UnsafeMirrorError) as caught:
        mirrored(text)
    assert repr(one_sided_anatomy(text)[0]) in str(caught.value)
    assert "Do not flip the image of this text." in str(caught.value)


def test_lower_case_letters_are_no_abbreviations() -> None:
    assert one_sided_anatomy("ra lad rv") == []


def test_mentions_have_sides_and_places() -> None:
    text = "Right effusion, bibasilar opacity, levoscoliosis, L hilum."
    assert [(mention.side, text[mention.start : mention.end]) for mention in side_mentions(text)] == [
        ("right", "Right"),
        ("both", "bibasilar"),
        ("left", "levo"),
        ("left", "L"),
    ]


def test_real_reports_are_mirrored_back_to_themselves(data_root: Path) -> None:
    lines = (data_root / "medical" / "iu_reports" / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    changed = refused = 0
    for row in map(json.loads, lines):
        text = row["findings"]
        if one_sided_anatomy(text):
            refused += 1
            continue
        assert mirrored(mirrored(text)) == text
        changed += mirrored(text) != text
    assert changed > 1000
    assert refused > 100
