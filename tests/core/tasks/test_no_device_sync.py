"""A training step never waits for the device. Checked without one, in two ways that complement each other."""

import pytest
import torch
from small_towers import small_task
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from vlcore.tasks.finite_gradients import FiniteGradients
from vlcore.types import PairBatch

READS_BACK = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "equal", "unique")


class RefuseReadingBack(TorchDispatchMode):
    """Raises where an operation would wait for the values of a tensor."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.name().removeprefix("aten::").split(".")[0]
        if name in READS_BACK or name.startswith(("_unique", "unique")):
            raise AssertionError(f"{name} reads a value back")
        return operation(*args, **(kwargs or {}))


def batch(device):
    return PairBatch(
        image_index=torch.zeros(8, dtype=torch.long, device=device),
        text_key=torch.zeros(8, dtype=torch.long, device=device),
        images=torch.zeros(8, 3, 8, 8, dtype=torch.uint8, device=device),
        input_ids=torch.zeros(8, 6, dtype=torch.long, device=device),
        attention_mask=torch.ones(8, 6, dtype=torch.long, device=device),
        text_lengths=(6, 5, 5, 4, 3, 3, 2, 1),
    )


def make_task(objective, trainable, options):
    task = small_task(objective=objective, image_trainable=trainable, text_trainable=trainable, **options).train()
    task.log = lambda *args, **options: None
    trainer = {"world_size": 1, "current_epoch": 0, "global_step": 0, "precision_plugin": None}
    task._trainer = type("Trainer", (), trainer)()
    task._fabric = None
    return task


OPTIONS = [{}, {"micro_batch_size": 3}, {"micro_batch_tokens": 8}]


@pytest.mark.parametrize("objective", ["info_nce", "siglip", "mil_nce"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("trainable", ["none", "all"])
def test_a_forward_step_on_an_accelerator_reads_no_value_back(objective, options, trainable):
    """Fake tensors on a device that is not there: they have no values, so whatever asks for one raises."""
    task = make_task(objective, trainable, options)
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = {name: torch.empty_like(value, device="cuda") for name, value in task.state_dict().items()}
        task.load_state_dict(fake, assign=True)
        loss = task.training_step(batch("cuda"), 0)
        assert loss.device.type == "cuda" and loss.requires_grad


@pytest.mark.parametrize("objective", ["info_nce", "siglip", "mil_nce"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_whole_step_calls_no_operation_that_waits(objective, options, monkeypatch):
    """Fake accelerators have no backward pass, so this one runs on the CPU and watches the operations."""
    task = make_task(objective, "all", options)
    optimizer, reads = torch.optim.AdamW(task.parameters(), fused=True), []
    guard = FiniteGradients()
    monkeypatch.setattr(guard, "_read", lambda trainer, task, leave=0: reads.append(leave))
    with RefuseReadingBack():
        guard.on_train_batch_start(task._trainer, task, None, 0)
        loss = task.training_step(batch("cpu"), 0)
        guard.on_before_backward(task._trainer, task, loss)
        loss.backward()
        guard.on_before_optimizer_step(task._trainer, task, optimizer)
        optimizer.step()
        task.model.clamp_temperature()
    assert all(parameter.grad is not None for parameter in task.model.image_encoder.parameters())
    assert len(reads) == 1


def test_the_checks_themselves_see_a_value_that_is_read_back():
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        torch.zeros(3, device="cuda").tolist()
    with RefuseReadingBack(), pytest.raises(AssertionError, match="reads a value back"):
        torch.zeros(3).sum().item()
