"""Contrast against a momentum model and its queue."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.feature_queue import FeatureQueue
from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.momentum_contrast import PairFeatures, momentum_contrast
from vlcore.objectives.soft_targets import mixed_targets, soft_cross_entropy


def pairs(count: int, seed: int, first: int = 0, width: int = 8) -> PairFeatures:
    generator = torch.Generator().manual_seed(seed)
    image, text = normalize(torch.randn(2, count, width, generator=generator, dtype=torch.float64), dim=-1)
    number = torch.arange(first, first + count)
    return PairFeatures(image, text, number, number + 1000)


def reference(image, text, momentum, earlier, scale, alpha):
    """Word by word: candidates are the momentum model's features of the batch and of earlier pairs."""
    losses = []
    for side in ("image", "text"):
        query = image if side == "image" else text
        others = [*getattr(momentum, "text" if side == "image" else "image")]
        others += [] if earlier is None else [*getattr(earlier, "text" if side == "image" else "image")]
        keys = list(zip(momentum.image_index.tolist(), momentum.text_key.tolist(), strict=True))
        keys += (
            [] if earlier is None else list(zip(earlier.image_index.tolist(), earlier.text_key.tolist(), strict=True))
        )
        for row in range(len(query)):
            logits = [scale * float(query[row] @ other) for other in others]
            opinion = [scale * float(getattr(momentum, side)[row] @ other) for other in others]
            positive = [keys[row][0] == one or keys[row][1] == two for one, two in keys]
            share, total, doubt = sum(positive), sum(map(math.exp, logits)), sum(map(math.exp, opinion))
            target = [
                alpha * math.exp(value) / doubt + (1 - alpha) * same / share
                for value, same in zip(opinion, positive, strict=True)
            ]
            losses.append(-sum(one * (value - math.log(total)) for one, value in zip(target, logits, strict=True)))
    return sum(losses) / (2 * len(image))


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("queued", [False, True])
def test_it_is_what_the_definition_says(alpha, queued):
    own, momentum = pairs(5, 0), pairs(5, 1)
    momentum = momentum._replace(text_key=torch.tensor([1, 2, 1, 3, 4]))
    earlier = pairs(6, 2, first=3) if queued else None
    queue = None
    if earlier is not None:
        queue = FeatureQueue(9, 8).double()
        queue.put(*earlier)
    scale = torch.tensor(7.0, dtype=torch.float64)
    found = momentum_contrast(own.image.float(), own.text.float(), momentum, queue, scale, alpha)
    assert float(found) == pytest.approx(reference(own.image, own.text, momentum, earlier, 7.0, alpha), abs=1e-5)


def test_without_a_queue_and_with_itself_for_a_teacher_it_is_info_nce():
    own = pairs(6, 0)
    own = own._replace(image_index=torch.tensor([0, 0, 1, 2, 3, 4]))
    scale = torch.tensor(5.0)
    expected = InfoNCE()(own.image, own.text, 5.0, image_index=own.image_index, text_key=own.text_key)
    found = momentum_contrast(own.image.float(), own.text.float(), own, None, scale)
    assert float(found) == pytest.approx(float(expected), abs=1e-5)


def test_alpha_zero_is_the_cross_entropy_of_the_pair_itself():
    own, momentum = pairs(4, 0), pairs(4, 1)
    logits = 7 * own.image @ momentum.text.T
    other = 7 * own.text @ momentum.image.T
    label = torch.arange(4)
    expected = (torch.nn.functional.cross_entropy(logits, label) + torch.nn.functional.cross_entropy(other, label)) / 2
    found = momentum_contrast(own.image, own.text, momentum, None, torch.tensor(7.0), 0.0)
    assert float(found) == pytest.approx(float(expected), abs=1e-5)


def test_the_teacher_gets_no_gradient_and_the_temperature_does():
    own, momentum = pairs(4, 0), pairs(4, 1)
    teacher = momentum._replace(image=momentum.image.clone().requires_grad_(), text=momentum.text)
    image = own.image.clone().requires_grad_()
    scale = torch.tensor(7.0, requires_grad=True)
    momentum_contrast(image, own.text, teacher._replace(image=teacher.image.detach()), None, scale, 0.4).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert scale.grad is not None and scale.grad != 0
    opinion = torch.randn(3, 5, requires_grad=True)
    mixed = mixed_targets(torch.full((3, 5), 0.2), opinion, 0.4)
    assert not mixed.requires_grad


def test_soft_cross_entropy_takes_candidates_that_are_not_there():
    logits = torch.tensor([[1.0, -torch.inf, 2.0]], requires_grad=True)
    loss = soft_cross_entropy(logits, torch.tensor([[1.0, 0.0, 0.0]])).sum()
    loss.backward()
    assert float(loss) == pytest.approx(math.log(math.e + math.e**2) - 1, abs=1e-6)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_the_queue_wraps_keeps_unit_norm_and_forgets_the_oldest():
    queue = FeatureQueue(5, 8).double()
    assert not queue.filled.any()
    for start in range(0, 12, 3):
        queue.put(*pairs(3, start, first=start))
    assert sorted(queue.image_index.tolist()) == [7, 8, 9, 10, 11]
    assert torch.equal(queue.text_key, queue.image_index + 1000)
    assert torch.allclose(queue.image.norm(dim=1), torch.ones(5, dtype=torch.float64))
    last = pairs(3, 9, first=9)
    for row, index in enumerate(last.image_index.tolist()):
        assert torch.equal(queue.image[queue.image_index == index][0], last.image[row])


def test_a_batch_larger_than_the_queue_leaves_its_last_pairs():
    queue = FeatureQueue(4, 8).double()
    queue.put(*pairs(11, 0))
    assert sorted(queue.image_index.tolist()) == [7, 8, 9, 10]


def test_a_queue_larger_than_the_data_holds_every_pair_several_times_and_all_are_positives():
    queue = FeatureQueue(12, 8).double()
    for epoch in range(4):
        queue.put(*pairs(4, epoch))
    own, momentum = pairs(4, 9), pairs(4, 8)
    label = (own.image_index[:, None] == torch.cat([momentum.image_index, queue.image_index])).double()
    assert torch.equal(label.sum(1), torch.full((4,), 4.0, dtype=torch.float64))
    logits = 3 * own.image @ torch.cat([momentum.text, queue.text]).T
    other = 3 * own.text @ torch.cat([momentum.image, queue.image]).T
    expected = sum(soft_cross_entropy(side, label / 4).mean() for side in (logits, other)) / 2
    found = momentum_contrast(own.image, own.text, momentum, queue, torch.tensor(3.0))
    assert float(found) == pytest.approx(float(expected), abs=1e-5)


def test_a_queue_is_part_of_the_state():
    queue = FeatureQueue(4, 8).double()
    queue.put(*pairs(3, 0))
    again = FeatureQueue(4, 8).double()
    again.load_state_dict(queue.state_dict())
    for one in (queue, again):
        one.put(*pairs(2, 1, first=50))
    assert torch.equal(queue.image_index, again.image_index) and torch.equal(queue.text, again.text)
