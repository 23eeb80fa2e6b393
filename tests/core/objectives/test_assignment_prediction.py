"""Assignments with given marginals, and their prediction."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.assignment_prediction import AssignmentPrediction, word_prior
from vlcore.objectives.sinkhorn import sinkhorn

ot = pytest.importorskip("ot", reason="POT is not installed")


def unit(rows: int, seed: int, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64), dim=1)


@pytest.mark.parametrize("prior", [None, torch.tensor([0.4, 0.3, 0.2, 0.06, 0.04], dtype=torch.float64)])
def test_items_are_assigned_wholly_and_prototypes_get_their_share(prior):
    assigned = sinkhorn(unit(40, 0) @ unit(5, 1).T, epsilon=0.1, iterations=300, prior=prior)
    assert torch.allclose(assigned.sum(1), torch.ones(40, dtype=torch.float64), atol=1e-12)
    expected = 40 * (torch.full((5,), 0.2, dtype=torch.float64) if prior is None else prior)
    assert torch.allclose(assigned.sum(0), expected, rtol=1e-2)


def test_they_are_those_of_entropic_transport():
    scores = unit(12, 0) @ unit(5, 1).T
    prior = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1], dtype=torch.float64)
    plan = ot.sinkhorn(ot.unif(12), prior.numpy(), -scores.numpy(), reg=0.1, numItermax=5000, stopThr=1e-12)
    found = sinkhorn(scores, epsilon=0.1, iterations=2000, prior=prior)
    assert torch.allclose(found, 12 * torch.from_numpy(plan), atol=1e-6)


def test_after_few_iterations_items_are_exact_and_prototypes_nearer_than_before():
    scores = unit(60, 0) @ unit(7, 1).T
    errors = []
    for iterations in (1, 3, 30):
        assigned = sinkhorn(scores, 0.05, iterations)
        assert torch.allclose(assigned.sum(1), torch.ones(60, dtype=torch.float64))
        errors.append(float((assigned.sum(0) - 60 / 7).abs().max()))
    assert errors == sorted(errors, reverse=True)


def test_small_epsilons_do_not_overflow():
    assigned = sinkhorn((unit(8, 0) @ unit(5, 1).T).float(), epsilon=1e-3)
    assert assigned.dtype == torch.float32 and torch.isfinite(assigned).all()


def reference(image, text, words, epsilon, tau, iterations, prior):
    """Word by word, with plain exponentials."""

    def assign(side):
        table = [[math.exp(float(row @ word) / epsilon) for word in words] for row in side]
        for _ in range(iterations):
            for k in range(len(words)):
                total = sum(row[k] for row in table)
                for row in table:
                    row[k] *= prior[k] * len(table) / total
            for row in table:
                total = sum(row)
                row[:] = [value / total for value in row]
        return table

    loss = 0.0
    for side, target in ((image, assign(text)), (text, assign(image))):
        for row, wanted in zip(side, target, strict=True):
            logits = [float(row @ word) / tau for word in words]
            total = math.log(sum(map(math.exp, logits)))
            loss -= sum(q * (value - total) for q, value in zip(wanted, logits, strict=True))
    return loss / (2 * len(image))


def test_it_is_what_the_definition_says():
    image, text, words = unit(4, 0), unit(4, 1), 3 * unit(7, 2)
    objective = AssignmentPrediction(words, epsilon=0.2, iterations=3).double()
    objective.set_word_counts(torch.tensor([5, 1, 1, 0, 2, 9, 2]))
    prior = word_prior(torch.tensor([5, 1, 1, 0, 2, 9, 2])).tolist()
    expected = reference(image, text, normalize(words, dim=1), 0.2, 0.1, 3, prior)
    assert float(objective(image, text, 10.0)) == pytest.approx(expected, rel=1e-6)


def test_the_two_sides_can_be_swapped():
    objective = AssignmentPrediction(unit(7, 2)).double()
    image, text = unit(5, 0), unit(5, 1)
    assert torch.equal(objective(image, text), objective(text, image))


def test_gradients_reach_the_embeddings_and_nothing_else():
    words = unit(7, 2).requires_grad_()
    objective = AssignmentPrediction(words, epsilon=0.2).double()
    image, text = unit(5, 0).requires_grad_(), unit(5, 1).requires_grad_()
    objective(image, text, 10.0).backward()
    assert words.grad is None and not list(objective.parameters())
    assert image.grad.abs().sum() > 0 and text.grad.abs().sum() > 0
    # With the assignments held fast, the gradient is that of two plain cross-entropies.
    fixed = image.detach().clone().requires_grad_()
    scores = 10 * fixed @ objective.words.double().T
    target = sinkhorn(text.detach() @ objective.words.double().T, 0.2, 3)
    (-(target * scores.log_softmax(1)).sum(1).mean() / 2).backward()
    assert torch.allclose(fixed.grad, image.grad, atol=1e-8)


def test_identical_sides_at_matching_temperature_give_the_entropy_of_the_assignments():
    # As many items as words, one for each: then the softmax itself has the wanted marginals.
    words = torch.eye(6, dtype=torch.float64)
    objective = AssignmentPrediction(words, epsilon=0.5, iterations=50).double()
    assigned = sinkhorn(words @ words.T, 0.5, 50)
    entropy = -(assigned * assigned.log()).sum(1).mean()
    assert float(objective(words, words, 2.0)) == pytest.approx(float(entropy), abs=1e-6)


def test_the_prior_follows_the_frequencies():
    prior = word_prior(torch.tensor([8, 2, 0]))
    assert prior.tolist() == pytest.approx(torch.softmax(torch.tensor([0.8, 0.2, 0.0]).double() / 0.25, 0).tolist())
    assert float(word_prior(torch.zeros(4)).max()) == pytest.approx(0.25)


def test_autocast_changes_nothing():
    objective, image, text = AssignmentPrediction(unit(7, 2)), unit(5, 0).float(), unit(5, 1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = objective(image, text)
    assert torch.equal(found, objective(image, text))


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"counts have shape \(1,\): give one per word, \[7\]"):
        AssignmentPrediction(unit(7, 2)).set_word_counts(torch.tensor([3]))
