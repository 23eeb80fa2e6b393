"""Negatives from the batch."""

from __future__ import annotations

import pytest
import torch

from vlcore.objectives.hard_negatives import sample_hard_negatives


def test_no_positive_is_ever_drawn():
    torch.manual_seed(0)
    positives = torch.eye(6, dtype=torch.bool)
    positives[0, 1] = positives[1, 0] = positives[2, 5] = positives[5, 2] = True
    # The positives are by far the most similar.
    similarity = torch.randn(6, 6) + 50 * positives
    for _ in range(50):
        negatives = sample_hard_negatives(similarity, positives)
        assert len(negatives.image) == len(negatives.text) == 12
        assert not positives[negatives.image, negatives.text].any()
        assert negatives.text[:6].tolist() == list(range(6)) and negatives.image[6:].tolist() == list(range(6))


def test_they_are_drawn_by_the_softmax_of_what_is_left():
    torch.manual_seed(0)
    similarity, positives = 2 * torch.randn(4, 4), torch.eye(4, dtype=torch.bool)
    counts = torch.zeros(2, 4, 4)
    repeats = 4000
    for _ in range(repeats):
        negatives = sample_hard_negatives(similarity, positives)
        counts[0, negatives.text[:4], negatives.image[:4]] += 1
        counts[1, negatives.image[4:], negatives.text[4:]] += 1
    for found, logits in zip(counts / repeats, (similarity.T, similarity), strict=True):
        expected = torch.softmax(logits.masked_fill(positives, -torch.inf), dim=1)
        assert torch.allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("size", [1, 5])
def test_a_batch_of_one_sentence_has_no_negatives(size):
    positives = torch.ones(size, size, dtype=torch.bool)
    negatives = sample_hard_negatives(torch.zeros(size, size), positives)
    assert len(negatives.image) == len(negatives.text) == 0


def test_rows_with_negatives_draw_where_others_have_none():
    positives = torch.tensor([[True, True, True], [True, True, False], [True, False, True]])
    negatives = sample_hard_negatives(torch.zeros(3, 3), positives)
    assert sorted(zip(negatives.image.tolist(), negatives.text.tolist(), strict=True)) == [
        (1, 2),
        (1, 2),
        (2, 1),
        (2, 1),
    ]
