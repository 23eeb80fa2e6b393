from __future__ import annotations

import json
from math import comb

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import DirectionRanks, RetrievalRanks, retrieval_ranks
from vlcore.metrics.retrieval_scores import RetrievalScores, chance_recall, chance_scores, retrieval_intervals


def ranks(seed=0, images=60, captions=3):
    random = np.random.default_rng(seed)
    image = random.normal(size=(images, 16)).astype(np.float32)
    text = np.repeat(image, captions, 0) + 2.5 * random.normal(size=(images * captions, 16)).astype(np.float32)
    owner = np.arange(images).repeat(captions)
    relevance = Relevance.from_pairs(owner, np.arange(len(text)), images=images, texts=len(text))
    return retrieval_ranks(image, text, relevance), np.arange(images), owner


def test_scores_by_hand():
    side = DirectionRanks(np.arange(4), np.array([1, 2, 6, 40]), np.ones(4, np.int64), gallery=50)
    scores = RetrievalScores.from_ranks(RetrievalRanks(side, side))
    assert scores.image_to_text.r1 == 25 and scores.image_to_text.r5 == 50 and scores.image_to_text.r10 == 75
    assert scores.text_to_image.median_rank == 4 and scores.text_to_image.mean_rank == 12.25
    assert scores.mean_recall == 50
    assert RetrievalScores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    with pytest.raises(EvaluationError, match="mean_recall"):
        RetrievalScores.from_dict({**scores.to_dict(), "mean_recall": None} | {"mean_recall": None})


@pytest.mark.parametrize("k", [1, 3, 10, 99])
def test_chance_is_hypergeometric(k):
    gallery, positives = 20, np.array([1, 1, 2, 5, 20])
    expected = np.mean([1 - comb(gallery - p, min(k, gallery)) / comb(gallery, min(k, gallery)) for p in positives])
    assert chance_recall(positives, gallery, k) == pytest.approx(expected * 100)


def test_chance_matches_random_embeddings():
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        image, text = random.normal(size=(30, 8)), random.normal(size=(60, 8))
        relevance = Relevance.from_pairs(np.arange(60) % 30, np.arange(60), images=30, texts=60)
        result = retrieval_ranks(image.astype(np.float32), text.astype(np.float32), relevance)
        found.append(RetrievalScores.from_ranks(result))
    chance = chance_scores(result)
    for name in ("r1", "r5", "r10", "mean_rank"):
        for side in ("image_to_text", "text_to_image"):
            mean = np.mean([getattr(getattr(scores, side), name) for scores in found])
            assert mean == pytest.approx(getattr(getattr(chance, side), name), rel=0.25)


def test_intervals_match_a_slow_bootstrap():
    result, image_unit, text_unit = ranks()
    fast = retrieval_intervals(result, image_unit, text_unit, repeats=2000, seed=1)
    random, values = np.random.default_rng(5), []
    for _ in range(2000):
        drawn = random.integers(0, 60, 60)
        i2t = np.concatenate([result.image_to_text.rank[image_unit == unit] for unit in drawn])
        t2i = np.concatenate([result.text_to_image.rank[text_unit == unit] for unit in drawn])
        values.append([np.mean(i2t <= 5) * 100, np.mean(t2i <= 1) * 100])
    slow = np.percentile(values, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(fast["image_to_text"]["r5"], slow[:, 0], atol=2)
    np.testing.assert_allclose(fast["text_to_image"]["r1"], slow[:, 1], atol=1.5)
    low, high = fast["mean_recall"]
    assert low < RetrievalScores.from_ranks(result).mean_recall < high


def test_intervals_are_seeded():
    result, image_unit, text_unit = ranks()
    first = retrieval_intervals(result, image_unit, text_unit, repeats=50, seed=3)
    assert first == retrieval_intervals(result, image_unit, text_unit, repeats=50, seed=3)
    assert first != retrieval_intervals(result, image_unit, text_unit, repeats=50, seed=4)


def test_larger_units_widen_the_interval():
    result, image_unit, text_unit = ranks(images=60)
    # Queries of one patient agree: rank 1 for half of the patients, last for the others.
    group = np.arange(60) // 10
    result.image_to_text.rank[:] = np.where(group % 2, 1, 60)
    alone = retrieval_intervals(result, image_unit, text_unit)["image_to_text"]["r1"]
    grouped = retrieval_intervals(result, group, group.repeat(3))["image_to_text"]["r1"]
    assert grouped[1] - grouped[0] > 1.5 * (alone[1] - alone[0])
