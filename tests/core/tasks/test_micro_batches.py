import copy
from itertools import pairwise

import pytest
import torch
from small_towers import SmallImageEncoder, small_task
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from vlcore.errors import ConfigurationError
from vlcore.objectives.info_nce import InfoNCE
from vlcore.tasks.micro_batches import MicroBatches
from vlcore.types import PairBatch

LENGTHS = (3, 1, 6, 2, 2, 5, 1)


def make_batch(lengths=LENGTHS, host_lengths=True):
    generator = torch.Generator().manual_seed(5)
    count, longest = len(lengths), max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    return PairBatch(
        image_index=torch.arange(count),
        text_key=torch.arange(count),
        images=torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator),
        input_ids=torch.randint(1, 19, (count, longest), generator=generator) * mask,
        attention_mask=mask,
        text_lengths=lengths if host_lengths else None,
    )


def make_model(dropout=0.0, image="all", text="all"):
    model = small_task(
        image_head="residual_mlp", text_head="residual_mlp", dropout=dropout, image_trainable=image, text_trainable=text
    ).model
    return model.double().train()


def step(model, batch, micro=None, scale=1.0):
    """Loss and gradients of one step."""
    torch.manual_seed(11)
    output = model(batch) if micro is None else micro.embed(model, batch)
    loss = InfoNCE()(output.image, output.text, output.logit_scale)
    (loss * scale).backward()
    return loss.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_equal_gradients(found, expected):
    assert found.keys() == expected.keys() and found
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize(
    "micro", [MicroBatches(3), MicroBatches(1), MicroBatches(100), MicroBatches(None, 6), MicroBatches(2, 8)]
)
@pytest.mark.parametrize("host_lengths", [True, False])
def test_gradients_are_those_of_the_whole_batch(micro, host_lengths):
    batch = make_batch(host_lengths=host_lengths)
    model = make_model()
    expected = step(copy.deepcopy(model), batch)
    found = step(copy.deepcopy(model), batch, micro)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-12, atol=0)
    assert_equal_gradients(found[1], expected[1])
    assert "logit_scale" in found[1]


def test_dropout_is_replayed_bit_for_bit():
    """The masks of the second pass are those of the first: recorded from the layers themselves."""
    model, masks = make_model(dropout=0.5), []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, output: masks.append((output == 0).clone()))
    step(model, make_batch(), MicroBatches(3))
    half = len(masks) // 2
    assert half == 3 * (half // 3) and half > 0
    # The second passes run from the last part to the first.
    per_part = half // 3
    for part in range(3):
        first = masks[part * per_part : (part + 1) * per_part]
        again = masks[half + (2 - part) * per_part : half + (3 - part) * per_part]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(mask.any() and not mask.all() for mask in masks)


def test_random_numbers_outside_are_those_of_a_run_without():
    model, batch = make_model(dropout=0.5), make_batch()
    torch.manual_seed(11)
    output = MicroBatches(100).embed(model, batch)
    before = torch.get_rng_state()
    output.image.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(11)
    model(batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_forwards_before_one_backward_and_accumulation():
    model = make_model(dropout=0.3)
    first, second = make_batch(), make_batch((2, 2, 4))

    def both(embed):
        own = copy.deepcopy(model)
        torch.manual_seed(3)
        outputs = [embed(own, first), embed(own, second)]
        sum(InfoNCE()(o.image, o.text, o.logit_scale) for o in outputs).backward()
        return {n: p.grad for n, p in own.named_parameters() if p.grad is not None}

    assert_equal_gradients(both(MicroBatches(100).embed), both(lambda own, batch: own(batch)))
    accumulated = copy.deepcopy(model)
    step(accumulated, first, MicroBatches(2))
    twice = step(accumulated, first, MicroBatches(2))[1]
    once = step(copy.deepcopy(model), first, MicroBatches(2))[1]
    assert_equal_gradients(twice, {name: 2 * value for name, value in once.items()})


def test_scaled_losses_scale_the_gradients():
    model, batch = make_model(), make_batch()
    plain, scaled = (step(copy.deepcopy(model), batch, MicroBatches(2), scale)[1] for scale in (1.0, 1024.0))
    assert_equal_gradients(scaled, {name: 1024 * value for name, value in plain.items()})


def test_autocast_is_that_of_the_first_pass():
    model, batch = make_model().float(), make_batch()
    gradients = []
    for micro in (None, MicroBatches(3)):
        own = copy.deepcopy(model)
        with torch.autocast("cpu", torch.bfloat16):
            output = own(batch) if micro is None else micro.embed(own, batch)
            loss = InfoNCE()(output.image, output.text, output.logit_scale)
        loss.backward()  # outside autocast, as Lightning does it
        gradients.append({n: p.grad.double() for n, p in own.named_parameters() if p.grad is not None})
    for name, value in gradients[0].items():
        # bfloat16 sums in another order: two of its digits.
        torch.testing.assert_close(gradients[1][name], value, rtol=0.05, atol=0.02 * float(value.abs().max()), msg=name)


def test_frozen_towers_run_once_and_learning_ones_twice():
    for trainable, passes in (("none", 1), ("all", 2)):
        model = make_model(image=trainable)
        before = SmallImageEncoder.calls
        step(model, make_batch(), MicroBatches(3))
        assert SmallImageEncoder.calls - before == 3 * passes


def test_activations_of_the_whole_batch_are_not_kept():
    def saved(micro):
        model, total = make_model().float(), 0

        def pack(tensor):
            nonlocal total
            if not isinstance(tensor, nn.Parameter):
                total += tensor.numel()
            return tensor

        batch = make_batch(LENGTHS * 8)
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            micro.embed(model, batch) if micro else model(batch)
        return total

    assert saved(MicroBatches(4)) < saved(None) / 10


def test_token_budget_holds_and_every_pair_is_in_one_part():
    order, bounds = MicroBatches(None, 6).cut(make_batch())
    lengths = [LENGTHS[row] for row in order]
    assert sorted(order) == list(range(7)) and lengths == sorted(lengths)
    assert bounds[0][0] == 0 and bounds[-1][1] == 7
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    for start, stop in bounds:
        assert stop - start == 1 or (stop - start) * max(lengths[start:stop]) <= 6


def test_batch_norm_that_learns_is_refused():
    model = make_model()
    model.image_head.norm = nn.BatchNorm1d(4).double()
    with pytest.raises(ConfigurationError, match=r"1 layers, first image_head\.norm"):
        MicroBatches(2).embed(model, make_batch())
    model.image_head.norm.eval()
    MicroBatches(2).embed(model, make_batch())


@pytest.mark.parametrize(
    ("limits", "message"),
    [((None, None), "need a limit"), ((0, None), "micro_batch_size=0"), ((None, -1), "tokens=-1")],
)
def test_limits_must_make_sense(limits, message):
    with pytest.raises(ConfigurationError, match=message):
        MicroBatches(*limits)
