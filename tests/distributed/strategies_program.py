"""One rank that takes a step under DDP and FSDP2: `python strategies_program.py RANK WORLD FILE`.

The ranks have different numbers of pairs. After a step of plain gradient descent, which shows the gradient itself,
every parameter has to be what one process with all pairs makes of it, with and without micro-batches.
"""

from __future__ import annotations

import copy
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from vlcore.errors import ConfigurationError
from vlcore.objectives.siglip import SigLIP
from vlcore.tasks.micro_batches import MicroBatches
from vlcore.tasks.multi_task_adamw import MultiTaskAdamW
from vlcore.types import PairBatch

sys.path.append(str(Path(__file__).parents[1] / "core" / "tasks"))
import small_towers

SIZES = {"ddp": {2: (7, 2), 4: (3, 1, 4, 1)}, "fsdp2": {2: (5, 4), 4: (3, 2, 2, 2)}}
RATE = 0.5


class Step(torch.nn.Module):
    """Model and loss in one forward pass, as Lightning's strategies wrap them."""

    def __init__(self, model, micro):
        super().__init__()
        self.model, self.micro, self.objective = model, micro, SigLIP()

    def forward(self, batch, group):
        output = self.model(batch) if self.micro is None else self.micro.embed(self.model, batch)
        keys = {"image_index": batch.image_index, "text_key": batch.text_key}
        return self.objective(*output, **keys, process_group=group)


def make_model():
    options = {"image_head": "residual_mlp", "text_head": "residual_mlp", "dropout": 0.0, "objective": "siglip"}
    return small_towers.small_task(image_trainable="all", text_trainable="all", **options).model.train()


def make_batch(rows):
    generator = torch.Generator().manual_seed(4)
    lengths = [1 + index % 5 for index in range(9)]
    mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
    batch = {
        "image_index": torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 7]),
        "text_key": torch.tensor([10, 11, 12, 13, 14, 12, 15, 16, 11]),
        "images": torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8, generator=generator),
        "input_ids": torch.randint(1, 19, (9, 5), generator=generator) * mask,
        "attention_mask": mask,
    }
    return PairBatch(**{name: value[rows] for name, value in batch.items()}, text_lengths=tuple(lengths[rows]))


def step(model, batch, group):
    loss = model(batch, group)
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=RATE).step()
    return loss.detach()


def multi_task_steps(model, batch, group):
    """Two steps of MT-AdamW, of one data set and of the other; the norm of a gradient is that of all its parts."""
    optimizer = MultiTaskAdamW(model.parameters(), (0.25, 0.75), (1.0, 2.0), lr=0.01, weight_decay=0.1)
    for dataset in (0, 1):
        optimizer.dataset = dataset
        optimizer.zero_grad()
        model(batch, group).backward()
        optimizer.step()


def whole(parameter):
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter.detach()


def shard(model):
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model.model.image_encoder, model.model.text_encoder, model.model.image_head, model.model.text_head):
        fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def main(rank, world, file):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{file}", rank=rank, world_size=world, timeout=timedelta(seconds=120))
    small_towers.register()
    initial = make_model()
    alone = Step(copy.deepcopy(initial), None)
    expected_loss = step(alone, make_batch(slice(0, 9)), None)
    expected = {name.removeprefix("model."): value.detach() for name, value in alone.named_parameters()}
    moved = sum(not torch.equal(value, dict(initial.named_parameters())[name]) for name, value in expected.items())
    assert moved == len(expected), "every parameter has to learn"
    checked = 0
    wraps = {"ddp": DistributedDataParallel, "fsdp2": shard}
    for name, wrap in wraps.items():
        start = sum(SIZES[name][world][:rank])
        rows = slice(start, start + SIZES[name][world][rank])
        for micro in (None, MicroBatches(2), MicroBatches(None, 6)):
            model = wrap(Step(copy.deepcopy(initial), micro))
            loss = step(model, make_batch(rows), dist.group.WORLD)
            torch.testing.assert_close(loss, expected_loss, rtol=1e-5, atol=1e-6, msg=f"{name} {micro}")
            for key, value in model.named_parameters():
                plain = key.removeprefix("module.").removeprefix("model.")
                torch.testing.assert_close(
                    whole(value), expected[plain], rtol=1e-5, atol=1e-6, msg=lambda m, p=plain, n=name: f"{n} {p}: {m}"
                )
            checked += 1
    alone = Step(copy.deepcopy(initial), None)
    multi_task_steps(alone, make_batch(slice(0, 9)), None)
    expected = {name.removeprefix("model."): value.detach() for name, value in alone.named_parameters()}
    for name, wrap in wraps.items():
        start = sum(SIZES[name][world][:rank])
        model = wrap(Step(copy.deepcopy(initial), None))
        multi_task_steps(model, make_batch(slice(start, start + SIZES[name][world][rank])), dist.group.WORLD)
        for key, value in model.named_parameters():
            plain = key.removeprefix("module.").removeprefix("model.")
            torch.testing.assert_close(
                whole(value), expected[plain], rtol=1e-3, atol=2e-4, msg=lambda m, p=plain, n=name: f"{n} {p}: {m}"
            )
        checked += 1
    # Two pairs here, four parts elsewhere: every rank says so, and none waits for another.
    few = slice(0, 2) if rank else slice(0, 8)
    try:
        shard(Step(copy.deepcopy(initial), MicroBatches(2)))(make_batch(few), dist.group.WORLD)
    except ConfigurationError as error:
        assert "2 pairs make no 4 parts" in str(error), error
        checked += 1
    dist.barrier()
    dist.destroy_process_group()
    print(f"checked {checked}", flush=True)
    # All is checked; a thread of gloo that still runs would make the interpreter's own end an abort now and then.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
