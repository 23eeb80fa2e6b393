"""The losses and all their gradients are those of the dense float64 references."""

from __future__ import annotations

import math

import dense_losses
import pytest
import torch
from pair_batches import ALL, BIAS, KEYS, LOSSES, SCALE, batch, random_keys, value_and_gradients
from torch.nn.functional import normalize

from vlcore.objectives.mil_nce import MILNCE


def assert_equal_to_dense(name, inputs, tile_size, tolerance, **keys):
    """Value and the gradients of both sides, scale and bias; errors are relative to the norm of the gradient."""
    value, gradients = value_and_gradients(LOSSES[name](tile_size), inputs, **keys)
    reference = getattr(dense_losses, name)
    exact, exact_gradients = value_and_gradients(reference, [side.double() for side in inputs], **keys)
    assert value.shape == () and value.dtype == (torch.float64 if inputs[0].dtype == torch.float64 else torch.float32)
    # What is exactly zero (one pair, or nothing but positives) comes out as zero up to rounding of the logits.
    floor = tolerance * 1e-2
    assert abs(value - exact) <= tolerance * abs(exact) + floor
    for given, gradient, wanted in zip(inputs, gradients, exact_gradients, strict=True):
        assert gradient.dtype == given.dtype and gradient.shape == given.shape
        assert (gradient - wanted).norm() <= tolerance * wanted.norm() + floor


@ALL
@pytest.mark.parametrize("given", [(), ("image_index",), ("text_key",), ("image_index", "text_key")], ids=str)
@pytest.mark.parametrize("pairs, tile_size", [(23, 5), (23, 23), (23, 64), (24, 8), (1, 4), (2, 1)])
def test_value_and_every_gradient_equal_the_dense_loss(name, given, pairs, tile_size):
    keys = {key: values for key, values in random_keys(pairs).items() if key in given}
    assert_equal_to_dense(name, (*batch(pairs), SCALE, BIAS), tile_size, 1e-10, **keys)


@ALL
@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_float32_up_to_the_clamp_of_the_temperature(name, scale):
    inputs = (*batch(150, 32, dtype=torch.float32), torch.tensor(scale), torch.tensor(-10.0))
    assert_equal_to_dense(name, inputs, 64, 1e-5, **random_keys(150))


@ALL
def test_a_trained_model_at_the_clamp_has_no_gradient_left(name):
    # Every text lies at its image: what remains to learn is far below the rounding of logits near 100.
    image, _ = batch(40, 16, dtype=torch.float32)
    inputs = (image, image.clone(), torch.tensor(100.0), torch.tensor(-85.0))
    value, gradients = value_and_gradients(LOSSES[name](16), inputs)
    exact, wanted = value_and_gradients(getattr(dense_losses, name), [side.double() for side in inputs])
    assert float(value) == pytest.approx(float(exact), rel=1e-4, abs=1e-7)
    for found, right in zip(gradients, wanted, strict=True):
        assert (found - right).norm() <= 1e-4 * right.norm() + 1e-6


@ALL
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_embeddings_are_widened_before_the_logits(name, dtype):
    image, text = batch(50, 32, dtype=dtype)
    inputs = (image, text, torch.tensor(50.0), torch.tensor(-10.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradients = value_and_gradients(LOSSES[name](16), inputs, **random_keys(50))
    wide = [side.double() for side in inputs]
    exact, wanted = value_and_gradients(getattr(dense_losses, name), wide, **random_keys(50))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(exact), rel=1e-5)
    assert gradients[0].dtype == gradients[1].dtype == dtype
    for found, right in zip(gradients, wanted, strict=True):
        assert (found.double() - right).norm() <= 5e-3 * right.norm()


@ALL
def test_autocast_does_not_reach_the_logits_of_float32_embeddings(name):
    inputs = (*batch(50, 32, dtype=torch.float32), torch.tensor(100.0), torch.tensor(-10.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_equal_to_dense(name, inputs, 16, 1e-5)


@ALL
def test_gradcheck(name):
    inputs = [value.clone().requires_grad_() for value in (*batch(), SCALE, BIAS)]
    assert torch.autograd.gradcheck(lambda *values: LOSSES[name](3)(*values, **KEYS), inputs)


@ALL
def test_the_derivative_is_scaled_by_what_comes_from_above(name):
    image, text = (side.requires_grad_() for side in batch())
    loss = LOSSES[name](3)(image, text, SCALE, BIAS, **KEYS)
    (once,) = torch.autograd.grad(loss, image, retain_graph=True)
    (scaled,) = torch.autograd.grad(1024 * loss, image)
    torch.testing.assert_close(scaled, 1024 * once)


@ALL
def test_frozen_sides_and_plain_numbers(name):
    image, text = batch()
    text.requires_grad_()
    LOSSES[name](3)(image, text, 9.0, -3.0, **KEYS).backward()
    _, wanted = value_and_gradients(getattr(dense_losses, name), (image, text, SCALE, BIAS), **KEYS)
    torch.testing.assert_close(text.grad, wanted[1])
    assert image.grad is None
    with torch.no_grad():
        assert not LOSSES[name](3)(image, text, 9.0, -3.0).requires_grad


@ALL
def test_all_captions_alike(name):
    image, text = batch(9)
    text = text[:1].repeat(9, 1)
    alike = {"text_key": torch.zeros(9, dtype=torch.int64)}
    assert_equal_to_dense(name, (image, text, SCALE, BIAS), 4, 1e-10, **alike)
    value, gradients = value_and_gradients(LOSSES[name](4), (text, text, SCALE, BIAS), **alike)
    if name == "info_nce":
        # All are positives and equal: the uniform distribution is the target, nothing is left to learn.
        assert float(value) == pytest.approx(math.log(9))
    if name == "mil_nce":
        assert float(value) == 0
    if name != "siglip":
        torch.testing.assert_close(gradients[0], torch.zeros_like(gradients[0]))


@pytest.mark.parametrize("images, candidates", [(4, 3), (5, 1), (1, 4)])
def test_mil_nce_is_the_papers_loss_of_clips_with_candidates(images, candidates):
    """arXiv 1912.06430, eq. 1, on B clips with K narrations each; here they come as B x K pairs."""
    generator = torch.Generator().manual_seed(4)
    clip = normalize(torch.randn(images, 6, generator=generator, dtype=torch.float64), dim=1)
    words = normalize(torch.randn(images, candidates, 6, generator=generator, dtype=torch.float64), dim=2)
    total = 0.0
    for i in range(images):
        positive = sum(math.exp(9 * clip[i] @ words[i, k]) for k in range(candidates))
        negative = sum(
            math.exp(9 * clip[i] @ words[j, k]) + math.exp(9 * clip[j] @ words[i, k])
            for j in range(images)
            for k in range(candidates)
            if j != i
        )
        total -= math.log(positive / (positive + negative))
    clip_of = torch.arange(images).repeat_interleave(candidates)
    found = MILNCE(5)(clip[clip_of], words.flatten(0, 1), SCALE, None, clip_of)
    assert float(found) == pytest.approx(total / images)
    # Saying every candidate twice changes nothing.
    twice = torch.cat([clip_of, clip_of])
    again = MILNCE(5)(clip[twice], words.flatten(0, 1).repeat(2, 1), SCALE, None, twice)
    torch.testing.assert_close(again, found)
