from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Relevance, extend_by_duplicates


def as_set(relevance, chunk=3):
    return {(int(i), int(t)) for image, text in relevance.pairs(chunk) for i, t in zip(image, text, strict=True)}


def test_pairs_come_back_once():
    pairs = [(0, 0), (0, 1), (2, 1), (2, 1), (1, 3)]
    relevance = Relevance.from_pairs(*zip(*pairs, strict=True), images=4, texts=5)
    assert as_set(relevance) == set(pairs)
    images, texts = relevance.positives()
    assert images.tolist() == [2, 1, 1, 0]
    assert texts.tolist() == [1, 2, 0, 1, 0]
    everything = np.indices((4, 5)).reshape(2, -1)
    found = relevance.contains(*everything)
    assert {(int(i), int(t)) for i, t in everything[:, found].T} == set(pairs)
    assert as_set(relevance.swapped()) == {(t, i) for i, t in pairs}


@pytest.mark.parametrize("with_images", [False, True])
def test_duplicates_match_brute_force(with_images):
    random = np.random.default_rng(0)
    pairs = {(int(i), int(t)) for i, t in zip(random.integers(0, 20, 40), np.arange(40), strict=True)}
    text_key = random.integers(-(2**62), 2**62, 12)[random.integers(0, 12, 40)]
    image_key = random.integers(0, 15, 20) if with_images else np.arange(20)
    relevance = extend_by_duplicates(
        Relevance.from_pairs(*zip(*sorted(pairs), strict=True), images=20, texts=40),
        text_key,
        image_key if with_images else None,
    )
    keys = {(image_key[i], text_key[t]) for i, t in pairs}
    expected = {(i, t) for i in range(20) for t in range(40) if (image_key[i], text_key[t]) in keys}
    assert as_set(relevance, chunk=7) == expected
    assert relevance.positives()[0].tolist() == [sum(i == image for i, _ in expected) for image in range(20)]
    assert relevance.positives()[1].tolist() == [sum(t == text for _, t in expected) for text in range(40)]


def test_a_caption_of_all_images_stays_small():
    n = 20_000
    relevance = Relevance.from_pairs(np.arange(n), np.arange(n), images=n, texts=n)
    extended = extend_by_duplicates(relevance, np.zeros(n, np.int64), np.zeros(n, np.int64))
    assert len(extended.codes) == 1
    assert extended.positives()[0][0] == n


def test_wrong_input_says_what():
    with pytest.raises(EvaluationError, match="no captions"):
        Relevance.from_pairs([], [], images=3, texts=3)
    with pytest.raises(EvaluationError, match="Pair 1 names image 3, but there are 3 images"):
        Relevance.from_pairs([0, 3], [0, 1], images=3, texts=3)
    with pytest.raises(EvaluationError, match="whole numbers"):
        Relevance.from_pairs([0.5], [0], images=3, texts=3)
    with pytest.raises(EvaluationError, match="text_key"):
        extend_by_duplicates(Relevance.from_pairs([0], [0], images=1, texts=1), [1, 2])
