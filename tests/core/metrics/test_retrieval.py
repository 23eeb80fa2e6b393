"""Ranks against a slow float64 reference, on every trap that made other code wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlcore.errors import EvaluationError
from vlcore.metrics.relevance import Relevance, extend_by_duplicates
from vlcore.metrics.retrieval import retrieval_ranks


def slow_ranks(image, text, pairs, side):
    """Rank by definition, one query at a time; values must be exact in float64 where ties matter."""
    a, b = np.asarray(image, dtype=np.float64), np.asarray(text, dtype=np.float64)
    correct = np.zeros((len(a), len(b)), dtype=bool)
    for i, t in pairs:
        correct[i, t] = True
    score = a @ b.T
    if side == "text_to_image":
        score, correct = score.T, correct.T
    ranks = {}
    for query in range(len(score)):
        if correct[query].any():
            best = score[query][correct[query]].max()
            ranks[query] = 1 + int((score[query][~correct[query]] >= best - 1e-12).sum())
    return ranks


def check(image, text, pairs, tile):
    relevance = Relevance.from_pairs(*zip(*pairs, strict=True), images=len(image), texts=len(text))
    found = retrieval_ranks(image, text, relevance, tile=tile)
    for side in ("image_to_text", "text_to_image"):
        direction = getattr(found, side)
        assert dict(zip(direction.query.tolist(), direction.rank.tolist(), strict=True)) == slow_ranks(
            image, text, pairs, side
        )
    return found


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("tile", [1, 7, 64, 5000])
def test_many_to_many_matches_reference(tile):
    random = np.random.default_rng(0)
    image = unit(random.normal(size=(53, 24))).astype(np.float32)
    text = unit(random.normal(size=(131, 24))).astype(np.float32)
    # Five captions for most images, none for the last three, and every tenth caption fits a second image.
    pairs = [(t % 50, t) for t in range(131)] + [((t * 7) % 50, t) for t in range(0, 131, 10)]
    check(image, text, pairs, tile)


@pytest.mark.parametrize("tile", [3, 8, 17, 1000])
def test_ties_count_against_the_model(tile):
    random = np.random.default_rng(1)
    # Whole numbers: sums are exact in any order, so that hundreds of ties are real.
    image = random.integers(-2, 3, size=(40, 6)).astype(np.float32)
    text = random.integers(-2, 3, size=(90, 6)).astype(np.float32)
    check(image, text, [(t % 40, t) for t in range(90)], tile)


def test_collapsed_model_gets_the_worst_rank():
    image, text = np.ones((30, 8), np.float32), np.ones((60, 8), np.float32)
    found = check(image, text, [(t // 2, t) for t in range(60)], 16)
    assert set(found.image_to_text.rank) == {59}  # 58 wrong captions, all tied
    assert set(found.text_to_image.rank) == {30}


@pytest.mark.parametrize("tile", [5, 32, 33, 100])
def test_equal_vectors_tie_wherever_they_stand(tile):
    """The same vector at both ends of the gallery must tie even where a kernel sums edge columns differently."""
    random = np.random.default_rng(2)
    distinct = unit(random.normal(size=(33, 77))).astype(np.float32)
    text = np.concatenate([distinct, distinct[::-1]])  # each caption twice, far apart
    image = unit(distinct + 0.1 * random.normal(size=distinct.shape)).astype(np.float32)
    relevance = Relevance.from_pairs(np.arange(33), np.arange(33), images=33, texts=66)
    found = retrieval_ranks(image, text, relevance, tile=tile)
    assert found.image_to_text.rank.min() == 2  # the twin, not annotated as correct, is never behind
    twins = extend_by_duplicates(relevance, np.concatenate([np.arange(33), np.arange(33)[::-1]]))
    tolerant = retrieval_ranks(image, text, twins, tile=tile)
    np.testing.assert_array_equal(tolerant.image_to_text.rank, found.image_to_text.rank - 1)


def test_differences_below_float32_are_seen():
    """Two captions whose scores agree in float32: the better one wins, whatever the tile."""
    image = np.array([[1.0, 1.0]], np.float32)
    # The true scores are 16777217 and 16777216; in float32 both products are 16777216.
    text = np.array([[16777216.0, 1.0], [16777216.0, 0.0]], np.float32)
    for correct, rank in ((0, 1), (1, 2)):
        relevance = Relevance.from_pairs([0], [correct], images=1, texts=2)
        assert retrieval_ranks(image, text, relevance).image_to_text.rank.tolist() == [rank]


def test_tile_never_changes_a_rank():
    random = np.random.default_rng(3)
    image, text = (unit(random.normal(size=(n, 512))).astype(np.float32) for n in (111, 233))
    relevance = Relevance.from_pairs(np.arange(233) % 111, np.arange(233), images=111, texts=233)
    ranks = [retrieval_ranks(image, text, relevance, tile=tile) for tile in (13, 100, 4096)]
    for other in ranks[1:]:
        np.testing.assert_array_equal(other.image_to_text.rank, ranks[0].image_to_text.rank)
        np.testing.assert_array_equal(other.text_to_image.rank, ranks[0].text_to_image.rank)


def test_lowered_matmul_precision_is_not_used():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        test_tile_never_changes_a_rank()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["image", "text"])
def test_not_finite_is_an_error(value, side):
    embeddings = {"image": np.ones((3, 4), np.float32), "text": np.ones((5, 4), np.float32)}
    embeddings[side][2, 1] = value
    relevance = Relevance.from_pairs([0], [0], images=3, texts=5)
    with pytest.raises(EvaluationError, match=rf"1 of \d {side} embeddings hold NaN or infinity \(rows 2\)"):
        retrieval_ranks(embeddings["image"], embeddings["text"], relevance)


def test_wrong_shapes_are_errors():
    relevance = Relevance.from_pairs([0], [0], images=3, texts=5)
    with pytest.raises(EvaluationError, match=r"shape \[2, 4\] for 3 images"):
        retrieval_ranks(np.ones((2, 4), np.float32), np.ones((5, 4), np.float32), relevance)
    with pytest.raises(EvaluationError, match="4 numbers and text embeddings 6"):
        retrieval_ranks(np.ones((3, 4), np.float32), np.ones((5, 6), np.float32), relevance)
    with pytest.raises(EvaluationError, match="overflow"):
        retrieval_ranks(np.full((3, 4), 1e20, np.float32), np.full((5, 4), 1e20, np.float32), relevance)


def test_memory_is_one_tile(monkeypatch):
    """No tensor larger than the inputs or a tile squared is ever made."""
    largest = 0
    product = torch.Tensor.__matmul__

    def watch(a, b):
        nonlocal largest
        result = product(a, b)
        largest = max(largest, result.numel())
        return result

    monkeypatch.setattr(torch.Tensor, "__matmul__", watch)
    image, text = torch.randn(300, 4), torch.randn(700, 4)
    retrieval_ranks(image, text, Relevance.from_pairs(np.arange(300), np.arange(300), images=300, texts=700), tile=50)
    assert largest == 2500
