"""One rank of a group that checks every loss in every precision: `python objectives_program.py RANK WORLD FILE`.

On a cluster: `torchrun --nproc-per-node 8 tests/distributed/objectives_program.py`, with any number of nodes.

Each rank holds pairs of its own, not equally many and one rank none, behind linear towers. What every rank computes,
averaged as data-parallel training does, has to be what one process computes on all pairs with the dense loss.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import normalize

from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.mil_nce import MILNCE
from vlcore.objectives.siglip import SigLIP

sys.path.append(str(Path(__file__).parents[1] / "core" / "objectives"))
import dense_losses

SIZES = {1: (13,), 2: (11, 6), 4: (5, 0, 9, 3)}
LOSSES = {"info_nce": InfoNCE, "siglip": SigLIP, "mil_nce": MILNCE}
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2}
GIVEN = (("image_index", "text_key"), ("image_index",), ("text_key",), ())


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Linear(7, 6)
        self.text = nn.Linear(5, 6)
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def forward(self, pixels, words):
        image, text = normalize(self.image(pixels), dim=1), normalize(self.text(words), dim=1)
        if torch.is_autocast_enabled("cpu"):
            image, text = image.bfloat16(), text.bfloat16()
        return image, text, self.log_scale.exp(), self.bias


def global_batch(pairs):
    generator = torch.Generator().manual_seed(pairs)
    image_index = torch.randint(0, 2 * pairs // 3, (pairs,), generator=generator) * 1_000_003
    text_key = torch.randint(-pairs // 2, pairs // 2, (pairs,), generator=generator)
    pixels = torch.randn(pairs, 7, generator=generator)
    words = torch.randn(pairs, 5, generator=generator)
    return pixels, words, {"image_index": image_index, "text_key": text_key}


def autocast(precision):
    return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def reference(name, precision, batch, given):
    """Loss and `{parameter: gradient}` of one process with all pairs, the loss dense and in float64."""
    towers = Towers()
    pixels, words, keys = batch
    with autocast(precision):
        embedded = towers(pixels, words)
    value = getattr(dense_losses, name)(*(side.double() for side in embedded), **{key: keys[key] for key in given})
    value.backward()
    return value.detach().float(), {key: parameter.grad for key, parameter in towers.named_parameters()}


def value_and_gradients(loss, precision, batch, given, group):
    """Loss and `{parameter: gradient}` of one rank."""
    towers = Towers()
    pixels, words, keys = batch
    with autocast(precision):
        value = loss(*towers(pixels, words), **{key: keys[key] for key in given}, process_group=group)
    value.backward()
    return value.detach(), {key: parameter.grad for key, parameter in towers.named_parameters()}


def check(rank, world, group, name, precision, given):
    sizes = SIZES[world]
    whole = global_batch(sum(sizes))
    start = sum(sizes[:rank])
    part = slice(start, start + sizes[rank])
    own = whole[0][part], whole[1][part], {key: values[part] for key, values in whole[2].items()}
    loss = LOSSES[name](tile_size=4)
    expected, wanted = reference(name, precision, whole, given)
    value, gradients = value_and_gradients(loss, precision, own, given, group)
    tolerance = TOLERANCE[precision]
    case = f"{name} {precision} {given} rank {rank} of {world}"
    assert value.dtype == torch.float32
    assert abs(value - expected) <= tolerance * abs(expected), f"{case}: loss {value} instead of {expected}"
    values = [torch.empty(()) for _ in range(world)]
    dist.all_gather(values, value, group=group)
    assert all(torch.equal(other, value) for other in values), f"{case}: ranks return {values}"
    for parameter, gradient in gradients.items():
        assert gradient is not None, f"{case}: {parameter} has no gradient, for which DDP would wait"
        dist.all_reduce(gradient, group=group)
        gradient /= world
        # A softmax ignores the bias: the dense loss leaves it without a gradient.
        exact = torch.zeros(()) if wanted[parameter] is None else wanted[parameter]
        error = (gradient - exact).norm()
        assert error <= tolerance * exact.norm(), f"{case}: {parameter} is off by {error}, of {exact.norm()}"


def check_embedding_gradients(rank, world, group, name):
    """The derivative with respect to own embeddings is W times that of the single process; in bfloat16 in its type."""
    sizes = SIZES[world]
    pairs = sum(sizes)
    generator = torch.Generator().manual_seed(1)
    image, text = (normalize(torch.randn(pairs, 6, generator=generator), dim=1).double() for _ in range(2))
    keys = global_batch(pairs)[2]
    part = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    loss = LOSSES[name](tile_size=3)
    sides = [side.clone().requires_grad_() for side in (image, text)]
    loss(*sides, 9.0, -3.0, **keys).backward()
    own = [side[part].clone().requires_grad_() for side in (image, text)]
    loss(*own, 9.0, -3.0, **{key: values[part] for key, values in keys.items()}, process_group=group).backward()
    for side, mine in zip(sides, own, strict=True):
        torch.testing.assert_close(mine.grad, world * side.grad[part], rtol=1e-10, atol=1e-14)
    half = [side[part].bfloat16().requires_grad_() for side in (image, text)]
    loss(*half, 9.0, -3.0, process_group=group).backward()
    assert all(side.grad.dtype == torch.bfloat16 and side.grad.shape == side.shape for side in half)


def check_faults(rank, world, group, name):
    """What is wrong in one place is an error in all, and NaN reaches every rank; nobody waits for ever."""
    loss = LOSSES[name]()
    pixels, words, keys = global_batch(4)
    image, text = normalize(pixels[:, :5], dim=1), normalize(words, dim=1)
    expect_error("No process has a pair", lambda: loss(image[:0], text[:0], 9.0, -3.0, process_group=group))
    if world > 1:
        index = keys["image_index"] if rank else None
        expect_error("different embeddings", lambda: loss(image, text, 9.0, -3.0, index, process_group=group))
    spoilt = image.clone()
    spoilt[1, 1] = float("nan") if rank == world - 1 else spoilt[1, 1]
    assert loss(spoilt, text, 9.0, -3.0, **keys, process_group=group).isnan(), f"{name}: NaN hidden on rank {rank}"


def expect_error(words, call):
    try:
        call()
    except ValueError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"no error: {words}")


def main():
    torch.set_num_threads(1)
    if sys.argv[1:]:
        rank, world, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        meeting = {"init_method": f"file://{file}", "rank": rank, "world_size": world}
    else:
        meeting = {"init_method": "env://"}  # torchrun
    dist.init_process_group("gloo", timeout=timedelta(seconds=60), **meeting)
    rank, world = dist.get_rank(), dist.get_world_size()
    SIZES.setdefault(world, tuple(3 + 7 * number % 5 for number in range(world)))
    group = dist.group.WORLD
    for name in LOSSES:
        for precision in TOLERANCE:
            for given in GIVEN:
                check(rank, world, group, name, precision, given)
        check_embedding_gradients(rank, world, group, name)
        check_faults(rank, world, group, name)
    dist.barrier()
    dist.destroy_process_group()
    print("checked", len(LOSSES) * len(TOLERANCE) * len(GIVEN), flush=True)
    # All is checked; a thread of gloo that still runs would make the interpreter's own end an abort now and then.
    os._exit(0)


if __name__ == "__main__":
    main()
