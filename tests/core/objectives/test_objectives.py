"""What must and must not change the losses, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from pair_batches import ALL, BIAS, IMAGE_INDEX, KEYS, LOSSES, SCALE, TEXT_KEY, TWINS, batch, value_and_gradients
from torch.nn.functional import normalize

from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.mil_nce import MILNCE
from vlcore.objectives.siglip import SigLIP


@ALL
def test_equal_keys_are_the_same_as_no_keys_and_each_pair_is_its_own_positive(name):
    image, text = batch()
    different = torch.arange(7) * 3 - 5
    expected = LOSSES[name]()(image, text, SCALE, BIAS)
    torch.testing.assert_close(LOSSES[name]()(image, text, SCALE, BIAS, different, different.flip(0)), expected)


@ALL
def test_the_order_of_the_batch_changes_nothing(name):
    image, text = batch()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    value, gradients = value_and_gradients(LOSSES[name](3), (image, text, SCALE, BIAS), **KEYS)
    shuffled_keys = {key: values[order] for key, values in KEYS.items()}
    shuffled, moved = value_and_gradients(LOSSES[name](3), (image[order], text[order], SCALE, BIAS), **shuffled_keys)
    torch.testing.assert_close(shuffled, value)
    for index in (0, 1):
        torch.testing.assert_close(moved[index], gradients[index][order])


@pytest.mark.parametrize("name", ["info_nce", "siglip"])
def test_swapping_the_sides_changes_nothing(name):
    image, text = batch()
    expected = LOSSES[name](3)(image, text, SCALE, BIAS, **KEYS)
    torch.testing.assert_close(LOSSES[name](3)(text, image, SCALE, BIAS, **KEYS), expected)


@ALL
def test_a_rotation_of_the_space_changes_nothing(name):
    image, text = batch()
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    expected = LOSSES[name]()(image, text, SCALE, BIAS, **KEYS)
    torch.testing.assert_close(LOSSES[name]()(image @ rotation, text @ rotation, SCALE, BIAS, **KEYS), expected)


@ALL
def test_a_hand_computation_on_two_pairs(name):
    image = text = torch.eye(2, dtype=torch.float64)
    # Logits are [[1, 0], [0, 1]].
    expected = {
        "info_nce": math.log(1 + math.exp(-1)),
        "siglip": (2 * math.log(1 + math.exp(-1)) + 2 * math.log(2)) / 2,
        "mil_nce": math.log((math.e + 2) / math.e),
    }
    assert float(LOSSES[name]()(image, text, 1.0, 0.0)) == pytest.approx(expected[name])


def test_duplicates_as_positives_are_no_longer_punished_for_being_alike():
    image = text = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2]]
    # Ideal embeddings: the sigmoid loss calls them wrong unless it knows the duplicates.
    assert SigLIP()(image, text, 50.0, -25.0, TWINS) < 1e-8
    assert SigLIP()(image, text, 50.0, -25.0) > 10
    assert MILNCE()(image, text, 50.0, None, TWINS) < 1e-8
    # InfoNCE with uniform targets stops at their entropy, log 2 for the two rows with a twin, and wants no change.
    moved = text.clone()
    moved[0] = normalize(moved[0] + 0.1 * torch.eye(4)[3], dim=0)
    ideal = InfoNCE()(image, text, 50.0, None, TWINS)
    assert float(ideal) == pytest.approx(math.log(2) / 2)
    assert InfoNCE()(image, moved, 50.0, None, TWINS) > ideal
    # Taken for negatives, it pays to tell the twins apart.
    assert InfoNCE()(moved, moved, 50.0) < InfoNCE()(image, text, 50.0)


@ALL
def test_false_negatives_push_equal_captions_apart_and_positives_do_not(name):
    generator = torch.Generator().manual_seed(3)
    image = normalize(torch.randn(3, 4, generator=generator, dtype=torch.float64), dim=1)
    caption = normalize(torch.randn(2, 4, generator=generator, dtype=torch.float64), dim=1)[[0, 0, 1]]
    same_words = torch.tensor([0, 0, 1])
    _, known = value_and_gradients(LOSSES[name](), (image, caption, SCALE, BIAS), text_key=same_words)
    # Equal captions see the same images with the same labels, so nothing separates them.
    torch.testing.assert_close(known[1][0], known[1][1])
    _, unknown = value_and_gradients(LOSSES[name](), (image, caption, SCALE, BIAS))
    assert not torch.allclose(unknown[1][0], unknown[1][1])


def test_info_nce_asks_for_every_positive_and_mil_nce_for_one():
    # Text 0 fits image 0, text 1 (also its caption) does not.
    image = torch.eye(4, dtype=torch.float64)[[0, 0, 1]]
    text = torch.eye(4, dtype=torch.float64)[[0, 2, 1]]
    same_image = torch.tensor([0, 0, 1])
    assert InfoNCE()(image, text, 20.0, None, same_image) > 1
    assert MILNCE()(image, text, 20.0, None, same_image) < 1e-7


@pytest.mark.parametrize("name", ["info_nce", "mil_nce"])
def test_a_softmax_ignores_the_bias_but_answers_for_it(name):
    image, text = batch()
    bias = torch.tensor(-3.0, requires_grad=True)
    value = LOSSES[name]()(image, text, SCALE, bias)
    torch.testing.assert_close(value.detach(), LOSSES[name]()(image, text, SCALE))
    # A parameter without a gradient would make data-parallel training wait for it.
    value.backward()
    assert bias.grad == 0


@ALL
def test_extreme_logits_stay_finite(name):
    image = torch.eye(4)
    inputs = (image, -image, torch.tensor(1e4), torch.tensor(0.0))
    value, gradients = value_and_gradients(LOSSES[name](3), inputs, image_index=TWINS)
    assert torch.isfinite(value) and value > 1e3
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@ALL
@pytest.mark.parametrize("row", [0, 3, 6])
def test_nan_embeddings_are_not_hidden(name, row):
    for side in (0, 1):
        inputs = [*batch(), SCALE, BIAS]
        inputs[side][row, 2] = float("nan")
        value, gradients = value_and_gradients(LOSSES[name](3), inputs, **KEYS)
        assert torch.isnan(value) and torch.isnan(gradients[side]).any() and torch.isnan(gradients[2])


@ALL
def test_wrong_inputs_are_named(name):
    loss = LOSSES[name]()
    image, text = batch()
    with pytest.raises(ValueError, match=r"\(7, 5\) and text \(6, 5\)"):
        loss(image, text[:6], SCALE, BIAS)
    with pytest.raises(ValueError, match=r"at least one pair"):
        loss(image[:0], text[:0], SCALE, BIAS)
    with pytest.raises(ValueError, match=r"image is torch.int64"):
        loss(image.long(), text, SCALE, BIAS)
    with pytest.raises(ValueError, match=r"logit_scale has shape \(7,\)"):
        loss(image, text, torch.ones(7), BIAS)
    with pytest.raises(ValueError, match=r"logit_bias has shape \(2,\)"):
        loss(image, text, SCALE, torch.ones(2))
    with pytest.raises(ValueError, match=r"image_index is torch.int64 of shape \(6,\): .* \[7\]"):
        loss(image, text, SCALE, BIAS, IMAGE_INDEX[:6])
    with pytest.raises(ValueError, match=r"text_key is torch.float32"):
        loss(image, text, SCALE, BIAS, None, TEXT_KEY.float())
    with pytest.raises(ValueError, match=r"tile_size is 0"):
        LOSSES[name](tile_size=0)


def test_siglip_without_a_bias_says_how_to_get_one():
    image, text = batch()
    with pytest.raises(ValueError, match="logit_bias=-10"):
        SigLIP()(image, text, SCALE)
