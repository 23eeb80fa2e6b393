"""Scores of localisation, questions and languages, by hand-made cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore_remote_sensing.metrics.languages import language_retention
from vlcore_remote_sensing.metrics.question_answering import question_accuracies
from vlcore_remote_sensing.metrics.semantic_localisation import mean_indicator, semantic_localisation

SQUARE = [(900.0, 500.0), (1100.0, 500.0), (1100.0, 700.0), (900.0, 700.0)]  # centre (1000, 600)


def bump(x: int, y: int, height: int = 1200, width: int = 1600, spread: float = 60) -> np.ndarray:
    rows, columns = np.indices((height, width))
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))


def test_the_mean_is_that_of_the_published_table() -> None:
    """AMFMN on scales 256, 512 and 768: Rsu 0.6920, Rda 0.6667, Ras 0.3323 give Rmi 0.6772."""
    assert mean_indicator(0.6920, 0.6667, 0.3323) == pytest.approx(0.6772, abs=5e-5)


def test_a_map_that_is_right_scores_near_one() -> None:
    scores = semantic_localisation(bump(1000, 600), [SQUARE])
    assert scores["significant_area"] > 0.99
    assert scores["discrete_attention"] == 1.0
    assert scores["attention_shift"] < 0.02
    assert scores["mean"] > 0.98


def test_attention_elsewhere_scores_near_nothing() -> None:
    scores = semantic_localisation(bump(200, 1000), [SQUARE])
    assert scores["significant_area"] < 0.05
    assert scores["discrete_attention"] == 0.0
    assert scores["attention_shift"] == 1.0
    assert scores["mean"] < 0.02


def test_the_significant_area_by_hand() -> None:
    heat = np.zeros((100, 100))
    heat[:, :50] = 1.0
    left = [(0.0, 0.0), (24.0, 0.0), (24.0, 99.0), (0.0, 99.0)]  # 25 columns, half of the attention
    scores = semantic_localisation(heat, [left])
    assert scores["significant_area"] == pytest.approx(1 - math.exp(-0.707 * 1.0 * 3.0), abs=1e-6)


def test_the_shift_grows_with_the_distance_of_the_peak() -> None:
    shifts = [semantic_localisation(bump(1000 + far, 600), [SQUARE])["attention_shift"] for far in (0, 60, 120, 180)]
    assert shifts == sorted(shifts)
    radius = int(1.5 * math.hypot(100, 100))
    expected = (math.exp(3 * 120 / radius) - 1) / (math.exp(3) - 1)
    assert shifts[2] == pytest.approx(expected, abs=0.02)


def test_two_peaks_in_one_region_are_less_than_one() -> None:
    wide = [(100.0, 100.0), (1500.0, 100.0), (1500.0, 1100.0), (100.0, 1100.0)]
    heat = np.maximum(bump(200, 600), bump(1400, 600))
    assert 0 < semantic_localisation(heat, [wide])["discrete_attention"] < 1


def test_scale_and_offset_of_the_map_do_not_matter() -> None:
    heat = bump(1010, 620)
    plain, moved = semantic_localisation(heat, [SQUARE]), semantic_localisation(heat * 0.2 - 0.7, [SQUARE])
    assert plain == pytest.approx(moved, abs=1e-2)


@pytest.mark.parametrize(
    ("heat", "regions", "message"),
    [
        (np.ones((50, 50)), [SQUARE], "not all equal"),
        (np.full((50, 50), np.nan), [SQUARE], "finite"),
        (bump(1, 1, 50, 50), [], "at least one region"),
        (bump(1, 1, 50, 50), [[(3.0, 3.0)] * 4], "has no area"),
    ],
)
def test_what_cannot_be_scored_is_told(heat: np.ndarray, regions: list, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        semantic_localisation(heat, regions)


TRAINING = [("presence", "yes"), ("presence", "yes"), ("presence", "no"), ("count", "0"), ("rural_urban", "Urban")]


def test_answers_are_scored_by_type_and_beside_the_types_own_floor() -> None:
    scores = question_accuracies(
        ["yes", " No", "rural", "3"],
        ["yes", "no", "urban", "3"],
        ["presence", "presence", "rural_urban", "count"],
        training=TRAINING,
    )
    assert scores == {
        "accuracy/count": 1.0,
        "accuracy/presence": 1.0,
        "accuracy/rural_urban": 0.0,
        "average_accuracy": pytest.approx(2 / 3),
        "overall_accuracy": 0.75,
        "floor/average_accuracy": pytest.approx((0.5 + 1 + 0) / 3),
        "floor/overall_accuracy": 0.5,
    }
    with pytest.raises(EvaluationError, match="got 1, 2 and 2"):
        question_accuracies(["yes"], ["yes", "no"], ["a", "b"])


def test_retention_compares_languages_with_english() -> None:
    scores = language_retention({"en": 40.0, "pt": 36.0, "ko": 30.0})
    assert scores == {
        "retention": pytest.approx(0.825),
        "least": 0.75,
        "retention/ko": 0.75,
        "retention/pt": pytest.approx(0.9),
    }
    for bad in ({"pt": 3.0}, {"en": 40.0}, {"en": 0.0, "pt": 1.0}):
        with pytest.raises(EvaluationError, match="Retention needs"):
            language_retention(bad)
