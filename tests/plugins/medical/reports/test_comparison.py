"""References to earlier examinations."""

from __future__ import annotations

import pytest

from vlcore_medical.reports.comparison import invented_prior_rate, names_prior, prior_references


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Stable cardiomegaly.", ["change"]),
        ("Interval increase of the effusion.", ["change"]),
        ("No change since the prior study.", ["study", "change"]),
        ("The effusion has resolved.", ["change"]),
        ("Calcified nodes are again seen.", ["study"]),
        ("Compared to the previous radiograph, new opacity.", ["study", "change"]),
        ("Redemonstration of a nodule.", ["study"]),
        ("The heart has not\n changed compared\n to the prior film.", ["study", "change"]),
        ("The diaphragm is again elevated. The heart remains large.", ["study", "change"]),
        ("This was not present on the recent prior study.", ["study"]),
        ("Unchanged. Worsening edema.", ["change", "change"]),
    ],
)
def test_references_are_found(text: str, kinds: list[str]) -> None:
    assert [reference.kind for reference in prior_references(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "Mild cardiomegaly. Chronic degenerative changes of the spine.",
        "No prior studies are available for comparison.",
        "Comparison to prior exams is recommended if available.",
        "Recommend short interval followup or an interval film.",
        "Old rib fracture; prior granulomatous disease; from prior gunshot wound.",
        "Asymmetric compared to the left.",
        "Increased interstitial markings.",
        "The patient is hemodynamically stable.",
        "",
    ],
)
def test_other_words_are_none(text: str) -> None:
    assert prior_references(text) == ()


def test_the_reference_is_told_with_its_sentence() -> None:
    (reference,) = prior_references("Clear lungs. The heart\n is unchanged.")
    assert (reference.words, reference.sentence) == ("unchanged", "The heart is unchanged.")


def test_a_comparison_section_that_names_nothing() -> None:
    for text in ("", " . ", "None.", "None available", "No comparison chest x-XXXX.", "N/A", "not available"):
        assert not names_prior(text)
    for text in ("XXXX", "Chest radiograph dated XXXX.", "___", "Nones' study of 2010"):
        assert names_prior(text)


def test_rate_of_invented_priors() -> None:
    assert invented_prior_rate(["Stable heart.", "Clear lungs.", "No effusion.", "Unchanged."]) == 0.5
    assert invented_prior_rate([]) == 0.0
