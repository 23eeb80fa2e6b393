"""Accuracy of answers, and how answers are normalised."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore_medical.metrics.answers import answer_scores, normalise_answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes.", "yes"),
        ("  The  LEFT lung", "left lung"),
        ("two", "2"),
        ("None", "0"),
        ("X-ray", "x ray"),
        ("3.5 cm", "3.5 cm"),
        ("1,000", "1,000"),
        ("right, upper", "right upper"),
        ("A", "a"),
        ("?", "?"),
        ("it's", "it s"),
        ("5.6cm focal, predominantly hypodense", "5.6cm focal predominantly hypodense"),
        ("T1/T2", "t1 t2"),
        ("", ""),
    ],
)
def test_answers_are_normalised(answer: str, expected: str) -> None:
    assert normalise_answer(answer) == expected
    assert normalise_answer(expected) == expected


def test_accuracy_by_kind_and_intervals_by_image() -> None:
    told, meant = ["Yes", "no", "the lung", "liver"], ["yes.", "yes", "Lung", "spleen"]
    scores = answer_scores(told, meant, [True, True, False, False], ["a", "a", "b", "c"], repeats=200)
    assert scores.accuracy == {"closed": 50.0, "open": 50.0, "overall": 50.0}
    assert scores.questions == {"closed": 2, "open": 2, "overall": 4}
    low, high = scores.interval_95["overall"] or (0, 0)
    assert low < 50 < high


def test_intervals_shrink_with_images_and_not_with_questions_about_one() -> None:
    hit = np.arange(40) % 2 == 0
    told = ["yes" if right else "no" for right in hit]
    many = answer_scores(told, ["yes"] * 40, [True] * 40, np.arange(40))
    few = answer_scores(told, ["yes"] * 40, [True] * 40, np.arange(40) % 4)
    width = [ends[1] - ends[0] for scores in (many, few) if (ends := scores.interval_95["closed"])]
    assert width[1] > 2 * width[0]


def test_a_kind_without_questions_has_no_score() -> None:
    scores = answer_scores(["left b"], ["b"], [False], ["x"])
    assert scores.accuracy["closed"] is None
    assert scores.interval_95["closed"] is None
    assert scores.accuracy["open"] == 0.0


@pytest.mark.parametrize(("told", "meant"), [(["yes"], ["yes", "no"]), ([], [])])
def test_unequal_or_empty_lists_are_told(told: list[str], meant: list[str]) -> None:
    with pytest.raises(EvaluationError, match=f"got {len(told)} predicted, {len(meant)} right ones"):
        answer_scores(told, meant, [True] * len(told), ["x"] * len(told))
