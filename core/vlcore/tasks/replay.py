"""Runs a captured step again and finds where its first NaN or infinity comes from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vlcore.errors import CheckpointError
from vlcore.tasks.alignment import AlignmentTask
from vlcore.tasks.exact_resume import seed_step
from vlcore.tasks.step_capture import CapturedBatch, StepCapture, read_capture
from vlcore.types import DualEncoderOutput, PairBatch

_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass
class Replay:
    """What a step looks like from close by.

    Attributes:
        weights: names of parameters and buffers that are not finite before the step.
        inputs: places in the batches that are not finite.
        first_module: the first module whose output is not finite, in the order of computation.
        embeddings: rows that embed to values that are not finite.
        loss: of all pairs.
        logit_scale: the temperature's factor.
        gradients: names of parameters whose gradients are not finite.
        operation: the operation whose derivative is the first that is not finite, in PyTorch's words.
    """

    weights: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    first_module: str | None = None
    embeddings: list[str] = field(default_factory=list)
    loss: float = 0.0
    logit_scale: float = 0.0
    gradients: list[str] = field(default_factory=list)
    operation: str | None = None

    @property
    def reproduced(self) -> bool:
        """True where the loss or a gradient is not finite again."""
        return bool(self.gradients) or not math.isfinite(self.loss)


def replay(folder: Path | str, task: AlignmentTask | None = None, device: str = "cpu") -> Replay:
    """Run a captured step again: all processes' batches, in one process.

    Batches that were accumulated are taken one after the other, as in the run.

    Args:
        folder: of the step.
        task: as in the run; built from the captured options if left out.
        device: to run on; results of another device than the run's may differ.

    Raises:
        CheckpointError: if the folder is no captured step, or a task built from Python is needed.
        FingerprintMismatchError: if a frozen tower is not that of the run.
    """
    capture = read_capture(folder)
    if capture.task != AlignmentTask.__name__:
        raise CheckpointError(
            f"{folder} is a step of {capture.task}; only those of {AlignmentTask.__name__} are replayed. Its batches, "
            f"seed and weights can be read with vlcore.tasks.step_capture.read_capture({str(folder)!r})."
        )
    task = _task(capture, folder) if task is None else task
    checkpoint = dict(capture.checkpoint)
    task.on_load_checkpoint(checkpoint)
    task.load_state_dict(checkpoint["state_dict"])
    task.to(device).train()
    for tower in (task.model.image_encoder, task.model.text_encoder):
        if tower.frozen:
            tower.eval()
    found = Replay(weights=[name for name, value in _values(task.model) if not _finite(value)])
    rounds = _rounds(capture)
    for batches in rounds:
        _look(task, capture, batches, device, found)
    found.gradients = [
        name
        for name, parameter in task.model.named_parameters()
        if parameter.grad is not None and not _finite(parameter.grad)
    ]
    return found


def _task(capture: StepCapture, folder: Path | str) -> AlignmentTask:
    settings = {name: value for name, value in capture.settings.items() if not name.startswith("_")}
    if not any(settings.get(name) for name in ("image_encoder", "dual_encoder")):
        raise CheckpointError(
            f"The task of {folder} was given its model in Python, so it cannot be built from the capture alone: call "
            f"vlcore.tasks.replay.replay({str(folder)!r}, task) with the task as it was."
        )
    return AlignmentTask(**{**settings, "compile": False})


def _rounds(capture: StepCapture) -> list[list[CapturedBatch]]:
    """The batches of all processes that made one loss together."""
    rounds: dict[tuple[int, int], list[CapturedBatch]] = {}
    for batch in capture.batches:
        rounds.setdefault((batch.epoch, batch.batch), []).append(batch)
    return list(rounds.values())


def _look(task: AlignmentTask, capture: StepCapture, batches: list[CapturedBatch], device: str, found: Replay) -> None:
    outputs: list[DualEncoderOutput] = []
    places = [f"process {batch.process}, batch {batch.batch}" for batch in batches]
    with _first_bad_output(task.model, found):
        for place, batch in zip(places, batches, strict=True):
            found.inputs += _bad_inputs(place, batch.pairs)
            if capture.seed is not None:
                seed_step(capture.seed, batch.epoch, batch.batch, batch.process)
            dtype = _AUTOCAST.get(capture.precision)
            with torch.autocast(torch.device(device).type, dtype=dtype, enabled=dtype is not None):
                output = task.embed(batch.pairs.to(device))
            for side, rows in (("image", output.image), ("text", output.text)):
                bad = (~torch.isfinite(rows.detach()).all(dim=1)).nonzero().flatten().tolist()
                found.embeddings += [f"{side} of row {row} ({place})" for row in bad]
            outputs.append(output)
    first = outputs[0]
    loss: Tensor = task.objective(
        torch.cat([output.image for output in outputs]),
        torch.cat([output.text for output in outputs]),
        first.logit_scale,
        first.logit_bias,
        image_index=torch.cat([batch.pairs.image_index for batch in batches]).to(device),
        text_key=torch.cat([batch.pairs.text_key for batch in batches]).to(device),
    )
    found.loss, found.logit_scale = loss.item(), first.logit_scale.item()
    try:
        with torch.autograd.set_detect_anomaly(True):
            torch.autograd.backward(loss, retain_graph=True)
    except RuntimeError as error:
        if "returned nan values" not in str(error):
            raise
        found.operation = str(error).split("'")[1]
        task.zero_grad()
        torch.autograd.backward(loss)


@contextmanager
def _first_bad_output(model: nn.Module, found: Replay) -> Iterator[None]:
    """Note the first module whose output is not finite."""

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            tensors = output if isinstance(output, tuple) else (output,)
            if found.first_module is None and not all(_finite(item) for item in tensors if isinstance(item, Tensor)):
                found.first_module = name

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _bad_inputs(place: str, pairs: PairBatch) -> list[str]:
    bad = []
    for name in ("image_features", "text_features"):
        values = getattr(pairs, name)
        if values is not None:
            rows = (~torch.isfinite(values).all(dim=1)).nonzero().flatten().tolist()
            bad += [f"{name} of row {row} (image {int(pairs.image_index[row])}; {place})" for row in rows]
    return bad


def _values(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values.detach()).all())
