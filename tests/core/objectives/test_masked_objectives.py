"""Guessing hidden words and regions, and telling matches."""

from __future__ import annotations

import math

import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore.objectives.image_text_matching import image_text_matching, match_score
from vlcore.objectives.masked_language_modeling import hidden_rows, masked_language_loss
from vlcore.objectives.masked_region_classification import masked_region_classification
from vlcore.objectives.masked_region_regression import masked_region_regression
from vlcore.objectives.patch_clusters import PatchClusters


def test_masked_language_counts_hidden_words_alone():
    states = torch.randn(2, 3, 4)
    labels = torch.tensor([[-100, 5, -100], [1, -100, 0]])
    rows, words = hidden_rows(states, labels)
    assert torch.equal(rows, torch.stack([states[0, 1], states[1, 0], states[1, 2]]))
    assert words.tolist() == [5, 1, 0]
    logits = torch.randn(3, 7, dtype=torch.float32)
    expected = -sum(float(torch.log_softmax(logits, 1)[row, word]) for row, word in enumerate(words.tolist())) / 3
    assert float(masked_language_loss(logits, words)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_masked_language_distillation_is_the_weighted_sum_of_two_cross_entropies(alpha):
    logits, opinion, words = torch.randn(4, 9), torch.randn(4, 9), torch.tensor([0, 3, 8, 3])
    certain = float(torch.nn.functional.cross_entropy(logits, words))
    soft = float(-(opinion.softmax(1) * logits.log_softmax(1)).sum(1).mean())
    found = float(masked_language_loss(logits, words, opinion, alpha))
    assert found == pytest.approx((1 - alpha) * certain + alpha * soft, abs=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits: masked_language_loss(logits, torch.zeros(0, dtype=torch.long)),
        lambda logits: masked_region_regression(logits, torch.zeros(0, 5)),
        lambda logits: masked_region_classification(logits, torch.zeros(0, 5), "class"),
        lambda logits: masked_region_classification(logits, torch.zeros(0, 6), "distribution"),
    ],
)
def test_nothing_hidden_is_a_loss_of_zero_that_can_be_differentiated(loss):
    logits = torch.zeros(0, 5, requires_grad=True)
    value = loss(logits)
    value.backward()
    assert float(value) == 0 and logits.grad is not None


def test_region_features_are_compared_by_their_mean_squared_error():
    predicted, features = torch.randn(6, 5), torch.randn(6, 5)
    expected = sum((a - b) ** 2 for a, b in zip(predicted.flatten(), features.flatten(), strict=True)) / 30
    assert float(masked_region_regression(predicted, features)) == pytest.approx(float(expected), abs=1e-6)


def test_region_classes_leave_the_background_out():
    logits = torch.randn(3, 4)
    detector = torch.tensor([[0.1, 0.2, 0.1, 0.0, 0.6], [0.3, 0.1, 0.1, 0.2, 0.3], [0.0, 0.0, 0.0, 0.9, 0.1]])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0, 3]))
    assert masked_region_classification(logits, detector, "class") == pytest.approx(float(expected), abs=1e-6)
    wanted = detector[:, :4] / detector[:, :4].sum(1, keepdim=True)
    divergence = sum(
        float(p * (math.log(p) - q))
        for row, guess in zip(wanted.tolist(), logits.log_softmax(1).tolist(), strict=True)
        for p, q in zip(row, guess, strict=True)
        if p > 0
    )
    assert masked_region_classification(logits, detector) == pytest.approx(divergence / 3, abs=1e-5)


def test_the_divergence_is_zero_where_the_guess_is_the_detectors():
    wanted = torch.rand(5, 7).softmax(1)
    assert float(masked_region_classification(wanted.log(), wanted)) == pytest.approx(0, abs=1e-6)


def test_classes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="logits are of 4 classes and class_probabilities of 7"):
        masked_region_classification(torch.zeros(2, 4), torch.zeros(2, 7))


def test_matching_is_the_cross_entropy_of_no_and_yes():
    logits, matches = torch.tensor([[0.0, 2.0], [1.0, -1.0]]), torch.tensor([True, False])
    expected = (math.log(1 + math.exp(-2)) * 2) / 2
    assert float(image_text_matching(logits, matches)) == pytest.approx(expected, abs=1e-6)
    assert match_score(logits).tolist() == [2.0, -2.0]


def test_patches_of_one_kind_fall_into_one_cluster():
    torch.manual_seed(0)
    kinds = torch.nn.functional.normalize(torch.randn(5, 16), dim=1)
    kind = torch.arange(5).repeat(60)
    features = 3 * (kinds[kind] + 0.05 * torch.randn(300, 16))
    clusters = PatchClusters(5, 16)
    assert not bool(clusters.fitted)
    clusters.fit(features)
    assert bool(clusters.fitted)
    probabilities = clusters.probabilities(features)
    assert torch.allclose(probabilities.sum(-1), torch.ones(300))
    found = probabilities.argmax(-1)
    assert len({(int(a), int(b)) for a, b in zip(kind, found, strict=True)}) == 5 and len(found.unique()) == 5
    # Brightness is not what a patch shows.
    assert torch.equal(clusters.probabilities(10 * features).argmax(-1), found)


def test_too_few_patches_are_an_error():
    with pytest.raises(ConfigurationError, match="3 patches cannot make 5 clusters"):
        PatchClusters(5, 4).fit(torch.randn(3, 4))
