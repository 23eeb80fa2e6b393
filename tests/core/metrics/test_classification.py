from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics.classification import (
    classification_floors,
    classification_intervals,
    classification_scores,
    expected_calibration_error,
    top_k_accuracy,
)


def sample(seed=0, n=400, classes=7):
    random = np.random.default_rng(seed)
    target = random.choice(classes, n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    logit = random.normal(size=(n, classes))
    logit[np.arange(n), target] += 1
    logit[:, 2] -= 9  # a class that is never predicted
    probability = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    return probability, target


def test_matches_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    probability, target = sample()
    predicted = probability.argmax(axis=1)
    scores = classification_scores(probability, target)
    assert scores.accuracy / 100 == pytest.approx(metrics.accuracy_score(target, predicted))
    assert scores.balanced_accuracy / 100 == pytest.approx(metrics.balanced_accuracy_score(target, predicted))
    assert scores.macro_f1 / 100 == pytest.approx(metrics.f1_score(target, predicted, average="macro", zero_division=0))
    assert scores.top5 / 100 == pytest.approx(metrics.top_k_accuracy_score(target, probability, k=5))
    assert (scores.samples, scores.classes) == (400, 7)


def test_absent_classes_are_left_out():
    probability = np.eye(4)[[0, 0, 1, 1]] * 0.9
    scores = classification_scores(probability, np.array([0, 0, 1, 0]))
    assert scores.balanced_accuracy == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert scores.macro_f1 == pytest.approx(100 * (4 / 5 + 2 / 3) / 2)


def slow_ece(confidence, hit, bins=15):
    total = 0.0
    for index in range(bins):
        inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return total * 100


def test_ece_matches_slow_reference():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.01, 1, 1000)
    hit = random.uniform(size=1000) < confidence**2
    assert expected_calibration_error(confidence, hit) == pytest.approx(slow_ece(confidence, hit))
    assert expected_calibration_error(np.ones(4), np.array([True] * 4)) == 0
    assert expected_calibration_error(np.ones(4), np.array([False] * 4)) == 100


def test_top_k_ties_count_against_the_model():
    assert top_k_accuracy(np.ones((5, 10)), np.arange(5), 5) == 0
    assert top_k_accuracy(np.ones((5, 4)), np.array([0, 1, 2, 3, 0]), 5) == 100


def test_floors_match_what_such_classifiers_score():
    target = np.array([0] * 6 + [1] * 3 + [3])
    floors = classification_floors(target, 4)
    always = np.zeros((10, 4))
    always[:, 0] = 1
    scores = classification_scores(always, target)
    for name, value in floors["majority"].items():
        assert value == pytest.approx(getattr(scores, name))
    draws = [classification_scores(np.random.default_rng(seed).uniform(size=(10, 4)), target) for seed in range(3000)]
    assert np.mean([draw.accuracy for draw in draws]) == pytest.approx(floors["chance"]["accuracy"], abs=1)
    assert np.mean([draw.balanced_accuracy for draw in draws]) == pytest.approx(25, abs=1.5)


def test_intervals_hold_the_score_and_are_seeded():
    probability, target = sample()
    scores = classification_scores(probability, target)
    unit = np.arange(len(target))
    intervals = classification_intervals(probability, target, unit, repeats=300)
    for name, (low, high) in intervals.items():
        assert low < getattr(scores, name) < high
    low, high = intervals["accuracy"]
    share = scores.accuracy / 100
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 400) * 100, rel=0.15)
    assert intervals == classification_intervals(probability, target, unit, repeats=300)


def test_wrong_input_says_what():
    probability, target = sample(n=5)
    with pytest.raises(EvaluationError, match="NaN"):
        classification_scores(np.full_like(probability, np.nan), target)
    with pytest.raises(EvaluationError, match="from 0 to 6"):
        classification_scores(probability, target + 7)
    with pytest.raises(EvaluationError, match="shape"):
        classification_scores(probability, target[:3])
