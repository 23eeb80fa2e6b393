"""Both contrastive losses against slow loops in float64, and what must not change them."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.positives import positive_pairs
from vlcore.objectives.siglip import SigLIP

BOTH = pytest.mark.parametrize("loss", [InfoNCE(), SigLIP()], ids=["info_nce", "siglip"])


def batch(pairs=7, size=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    image = normalize(torch.randn(pairs, size, generator=generator, dtype=dtype), dim=1)
    text = normalize(torch.randn(pairs, size, generator=generator, dtype=dtype), dim=1)
    return image, text


def mask(*labels):
    values = torch.tensor(labels)
    return values[:, None] == values[None, :]


POSITIVES = mask(0, 0, 1, 2, 1, 0, 3)
SCALE = torch.tensor(9.0, dtype=torch.float64)
BIAS = torch.tensor(-3.0, dtype=torch.float64)


def info_nce_reference(image, text, scale, bias, positives):
    pairs = len(image)

    def one_way(queries, keys, allowed):
        total = 0.0
        for i in range(pairs):
            scores = [float(scale) * float(queries[i] @ keys[j]) for j in range(pairs)]
            normaliser = math.log(sum(math.exp(score) for score in scores))
            own = [scores[j] - normaliser for j in range(pairs) if allowed[i][j]]
            total -= sum(own) / len(own)
        return total / pairs

    return (one_way(image, text, positives) + one_way(text, image, positives.T)) / 2


def siglip_reference(image, text, scale, bias, positives):
    total = 0.0
    for i in range(len(image)):
        for j in range(len(text)):
            logit = float(scale) * float(image[i] @ text[j]) + float(bias)
            label = 1 if positives[i][j] else -1
            total += math.log(1 + math.exp(-label * logit))
    return total / len(image)


@pytest.mark.parametrize(
    "loss, reference", [(InfoNCE(), info_nce_reference), (SigLIP(), siglip_reference)], ids=["info_nce", "siglip"]
)
@pytest.mark.parametrize("positives", [None, POSITIVES], ids=["diagonal", "several"])
def test_equals_a_slow_loop(loss, reference, positives):
    image, text = batch()
    expected = reference(image, text, SCALE, BIAS, torch.eye(7).bool() if positives is None else positives)
    found = loss(image, text, SCALE, BIAS, positives)
    assert found.shape == () and found.dtype == torch.float64
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_a_hand_computation_on_two_pairs():
    image = text = torch.eye(2, dtype=torch.float64)
    # Logits are [[1, 0], [0, 1]]: every softmax gives e / (e + 1) to the right text.
    assert float(InfoNCE()(image, text, 1.0)) == pytest.approx(math.log(1 + math.exp(-1)))
    # Two positives with logit 1 and two negatives with logit 0, summed, over two rows.
    expected = (2 * math.log(1 + math.exp(-1)) + 2 * math.log(2)) / 2
    assert float(SigLIP()(image, text, 1.0, 0.0)) == pytest.approx(expected)


@BOTH
@pytest.mark.parametrize("positives", [None, POSITIVES], ids=["diagonal", "several"])
def test_gradients_of_embeddings_scale_and_bias(loss, positives):
    image, text = (side.requires_grad_() for side in batch())
    scale, bias = SCALE.clone().requires_grad_(), BIAS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda *inputs: loss(*inputs, positives), (image, text, scale, bias))


@BOTH
def test_a_diagonal_mask_is_the_same_as_none(loss):
    image, text = batch()
    diagonal = torch.eye(7, dtype=torch.bool)
    torch.testing.assert_close(loss(image, text, SCALE, BIAS, diagonal), loss(image, text, SCALE, BIAS))
    # A row is always its own positive, even where a mask forgot it.
    torch.testing.assert_close(loss(image, text, SCALE, BIAS, ~diagonal & diagonal), loss(image, text, SCALE, BIAS))


@BOTH
def test_order_of_the_batch_and_swapping_the_sides_change_nothing(loss):
    image, text = batch()
    expected = loss(image, text, SCALE, BIAS, POSITIVES)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    shuffled = loss(image[order], text[order], SCALE, BIAS, POSITIVES[order][:, order])
    torch.testing.assert_close(shuffled, expected)
    torch.testing.assert_close(loss(text, image, SCALE, BIAS, POSITIVES.T), expected)


@BOTH
def test_a_rotation_of_the_space_changes_nothing(loss):
    image, text = batch()
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    expected = loss(image, text, SCALE, BIAS, POSITIVES)
    torch.testing.assert_close(loss(image @ rotation, text @ rotation, SCALE, BIAS, POSITIVES), expected)


def test_duplicates_as_positives_are_no_longer_punished_for_being_alike():
    image = text = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2]]
    duplicates = mask(0, 0, 1, 2)
    # Ideal embeddings: the sigmoid loss calls them wrong unless it knows the duplicates.
    assert SigLIP()(image, text, 50.0, -25.0, duplicates) < 1e-8
    assert SigLIP()(image, text, 50.0, -25.0) > 10
    # InfoNCE with uniform targets stops at their entropy, log 2 for the two rows with a twin, and wants no change.
    moved = text.clone()
    moved[0] = normalize(moved[0] + 0.1 * torch.eye(4)[3], dim=0)
    ideal = InfoNCE()(image, text, 50.0, None, duplicates)
    assert float(ideal) == pytest.approx(math.log(2) / 2)
    assert InfoNCE()(image, moved, 50.0, None, duplicates) > ideal
    # Taken for negatives, it pays to tell the twins apart.
    assert InfoNCE()(moved, moved, 50.0) < InfoNCE()(image, text, 50.0)


@BOTH
def test_false_negatives_push_equal_captions_apart_and_positives_do_not(loss):
    generator = torch.Generator().manual_seed(3)
    image = normalize(torch.randn(2, 4, generator=generator, dtype=torch.float64), dim=1)
    caption = normalize(torch.randn(1, 4, generator=generator, dtype=torch.float64), dim=1)
    text = caption.repeat(2, 1).requires_grad_()
    loss(image, text, 10.0, -5.0, mask(0, 0)).backward()
    # Equal captions see the same images with the same labels, so nothing separates them.
    torch.testing.assert_close(text.grad[0], text.grad[1])
    text.grad = None
    loss(image, text, 10.0, -5.0).backward()
    assert not torch.allclose(text.grad[0], text.grad[1])


def test_info_nce_ignores_the_bias():
    image, text = batch()
    torch.testing.assert_close(InfoNCE()(image, text, SCALE, BIAS), InfoNCE()(image, text, SCALE, None))


def test_info_nce_asks_for_every_positive_not_just_one():
    # Text 0 fits image 0, text 1 (also its caption) does not: the form -log sum p would be content.
    image = torch.eye(3, dtype=torch.float64)[[0, 0, 1]]
    text = torch.eye(3, dtype=torch.float64)[[0, 2, 1]]
    assert InfoNCE()(image, text, 20.0, None, mask(0, 0, 1)) > 1


@BOTH
def test_a_batch_of_duplicates_only(loss):
    image, text = batch(1)
    image, text = image.repeat(6, 1).requires_grad_(), text.repeat(6, 1).requires_grad_()
    value = loss(image, text, SCALE, BIAS, torch.ones(6, 6, dtype=torch.bool))
    value.backward()
    value = value.detach()
    assert torch.isfinite(value) and torch.isfinite(image.grad).all()
    if isinstance(loss, InfoNCE):
        # All are positives and equal: the uniform distribution is the target, nothing is left to learn.
        assert float(value) == pytest.approx(math.log(6))
        torch.testing.assert_close(image.grad, torch.zeros_like(image))


@BOTH
def test_a_batch_of_one_pair_is_finite(loss):
    image, text = batch(1)
    value = loss(image, text, 100.0, -10.0, torch.ones(1, 1, dtype=torch.bool))
    assert torch.isfinite(value)


@BOTH
def test_logits_are_computed_in_full_precision_under_autocast(loss):
    image, text = batch(64, 32, dtype=torch.float32)
    expected = loss(image.double(), text.double(), 100.0, -10.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(image, text, 100.0, -10.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@BOTH
def test_half_precision_embeddings_give_a_float32_loss(loss):
    image, text = batch(dtype=torch.float32)
    found = loss(image.bfloat16(), text.bfloat16(), 100.0, -10.0)
    expected = loss(image.bfloat16().double(), text.bfloat16().double(), 100.0, -10.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@BOTH
def test_extreme_logits_stay_finite(loss):
    image = torch.eye(4)
    value = loss(image, -image, torch.tensor(1e4), torch.tensor(0.0), mask(0, 0, 1, 2))
    assert torch.isfinite(value) and value > 1e3


@BOTH
def test_nan_embeddings_are_not_hidden(loss):
    image, text = batch()
    image[3, 2] = float("nan")
    assert torch.isnan(loss(image, text, SCALE, BIAS, POSITIVES))


@BOTH
def test_wrong_inputs_are_named(loss):
    image, text = batch()
    with pytest.raises(ValueError, match=r"\(7, 5\) and text \(6, 5\)"):
        loss(image, text[:6], SCALE, BIAS)
    with pytest.raises(ValueError, match=r"at least one pair"):
        loss(image[:0], text[:0], SCALE, BIAS)
    with pytest.raises(ValueError, match=r"logit_scale has shape \(7,\)"):
        loss(image, text, torch.ones(7), BIAS)
    with pytest.raises(ValueError, match=r"expected bool \[7, 7\]"):
        loss(image, text, SCALE, BIAS, POSITIVES[:6])
    with pytest.raises(ValueError, match=r"expected bool"):
        loss(image, text, SCALE, BIAS, POSITIVES.float())


def test_siglip_without_a_bias_says_how_to_get_one():
    image, text = batch()
    with pytest.raises(ValueError, match="logit_bias=-10"):
        SigLIP()(image, text, SCALE)


def test_positive_pairs_share_the_image_or_the_words():
    found = positive_pairs(torch.tensor([1, 1, 2, 3]), torch.tensor([10, 11, 12, 10]))
    expected = torch.tensor([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]], dtype=torch.bool)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("image_index, text_key", [((3,), (4,)), ((3, 1), (3, 1)), ((), ())])
def test_positive_pairs_refuses_other_shapes(image_index, text_key):
    with pytest.raises(ValueError, match=r"both must be \[B\]"):
        positive_pairs(torch.zeros(image_index), torch.zeros(text_key))
