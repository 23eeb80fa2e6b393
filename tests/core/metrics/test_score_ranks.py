"""Ranks by tables of scores, and of a second stage."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import DirectionRanks, retrieval_ranks
from vlcore.metrics.score_ranks import reranked, score_ranks


def test_dot_products_rank_as_embeddings_do():
    random = np.random.default_rng(0)
    image, text = random.normal(size=(9, 4)).astype(np.float32), random.normal(size=(20, 4)).astype(np.float32)
    relevance = Relevance.from_pairs(np.arange(20) % 9, np.arange(20), images=9, texts=20)
    expected, found = retrieval_ranks(image, text, relevance), score_ranks(image @ text.T, relevance)
    for side in ("image_to_text", "text_to_image"):
        assert getattr(found, side).rank.tolist() == getattr(expected, side).rank.tolist()
        assert getattr(found, side).positives.tolist() == getattr(expected, side).positives.tolist()
        assert getattr(found, side).gallery == getattr(expected, side).gallery


def test_ties_count_against_the_model():
    relevance = Relevance.from_pairs([0, 1, 2], [0, 1, 2], images=3, texts=3)
    assert score_ranks(np.zeros((3, 3), np.float32), relevance).image_to_text.rank.tolist() == [3, 3, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_named(value):
    scores = np.zeros((2, 2), np.float32)
    scores[1, 0] = value
    with pytest.raises(EvaluationError, match="query 1 and item 0"):
        score_ranks(scores, Relevance.from_pairs([0, 1], [0, 1], images=2, texts=2))
    with pytest.raises(EvaluationError, match="Scores of shape"):
        score_ranks(scores, Relevance.from_pairs([0], [0], images=1, texts=1))


def test_the_second_stage_orders_what_the_first_put_in_front():
    first = DirectionRanks(np.arange(4), np.array([1, 3, 2, 40]), np.ones(4, np.int64), 50)
    scores = np.array([[1, 2, 3], [1, 2, 9], [5, 5, 1], [1, 2, 3]], np.float32)
    correct = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    found = reranked(first, scores, correct)
    # Moved down; moved up; a tie counts against it; not among the first three: stays where it was.
    assert found.rank.tolist() == [3, 1, 2, 40]
    assert found.gallery == 50
    with pytest.raises(EvaluationError, match="Scores of shape"):
        reranked(first, scores[:2], correct[:2])
