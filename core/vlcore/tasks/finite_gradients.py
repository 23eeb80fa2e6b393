"""Stops a run before a step with NaN or infinite gradients is taken, and keeps what is needed to look into it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from vlcore.errors import NonFiniteGradientsError
from vlcore.tasks.exact_resume import ExactResume
from vlcore.tasks.step_capture import capture_folder, write_capture


@dataclass
class _Watched:
    """A step whose flag is on its way to the host."""

    step: int
    batches: list[tuple[int, int, Any]]
    flag: Tensor
    arrived: torch.Event | None


class FiniteGradients(Callback):
    """Takes no step whose gradients are NaN or infinite: batch, seeds and weights are kept and the run stops.

    Nothing waits for the device. Where the optimiser is fused, the flag stays there and makes this step and all later
    ones change nothing; the host reads it while the next step is under way. Other optimisers are asked for before the
    step. Under a gradient scaler (`16-mixed`) infinite gradients are how it finds its scale, and it leaves such steps
    out itself: there the loss is what has to be finite.

    What is kept is written to `<default_root_dir>/captures/step_…`; `vlcore replay` runs the step again and names the
    first values that are not finite.
    """

    def __init__(self) -> None:
        self._batches: list[tuple[int, int, Any]] = []
        self._loss_flag: Tensor | None = None
        self._stopped: Tensor | None = None
        self._watched: deque[_Watched] = deque()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Hold on to the batch until its step is known to be good."""
        self._batches.append((trainer.current_epoch, batch_idx, batch))

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Look at the loss."""
        flag = ~torch.isfinite(loss.detach()).all()
        self._loss_flag = flag if self._loss_flag is None else self._loss_flag | flag

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the gradients, before they are clipped.

        Raises:
            NonFiniteGradientsError: if this or an earlier step is not to be taken.
        """
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        flag = self._flag(optimizer, pl_module.device, scaled).to(torch.float32)
        if trainer.world_size > 1:
            # Sharded gradients are good in one process and bad in another; all have to stop together.
            dist.all_reduce(flag, dist.ReduceOp.MAX)
        if self._stopped is not None:
            flag = torch.maximum(flag, self._stopped)
        self._stopped = flag
        self._watched.append(_watch(trainer.global_step, self._batches, flag))
        self._batches, self._loss_flag = [], None
        if not scaled and _reads_flag(optimizer):
            optimizer.found_inf = flag  # type: ignore[attr-defined]
            # The step before is done by now, for this one has been queued behind it.
            self._read(trainer, pl_module, leave=0 if flag.device.type == "cpu" else 1)
        else:
            self._read(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the flags of the epoch's last steps."""
        self._read(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the flags of the steps before."""
        self._read(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Never let a checkpoint count a step that was not taken."""
        self._read(trainer, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier fit."""
        self._batches, self._loss_flag, self._stopped = [], None, None
        self._watched.clear()

    def _flag(self, optimizer: Optimizer, device: torch.device, scaled: bool) -> Tensor:
        """True where the step is not to be taken."""
        flag = torch.zeros((), dtype=torch.bool, device=device) if self._loss_flag is None else self._loss_flag
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if scaled or not gradients:
            return flag
        # The largest absolute value, for the sum of squares of finite numbers can be infinite.
        largest: Any = torch.nn.utils.get_total_norm(gradients, norm_type=math.inf)
        whole = largest.full_tensor() if hasattr(largest, "full_tensor") else largest
        return flag | ~torch.isfinite(whole)

    def _read(self, trainer: Trainer, pl_module: LightningModule, leave: int = 0) -> None:
        """Look at all flags but the last few."""
        while len(self._watched) > leave:
            watched = self._watched.popleft()
            if watched.arrived is not None:
                watched.arrived.synchronize()
            if watched.flag:
                self._stop(trainer, pl_module, watched)

    def _stop(self, trainer: Trainer, pl_module: LightningModule, watched: _Watched) -> None:
        self._watched.clear()
        seeds = next((callback.seed for callback in _callbacks(trainer) if isinstance(callback, ExactResume)), None)
        folder = capture_folder(trainer, watched.step)
        write_capture(folder, trainer, pl_module, watched.batches, seeds)
        places = ", ".join(f"batch {batch} of epoch {epoch}" for epoch, batch, _ in watched.batches)
        raise NonFiniteGradientsError(
            f"Step {watched.step} ({places}) has a loss or gradients that are NaN or infinite. It was not taken: the "
            f"weights are those before it. They are kept with the batch and its seeds; see where it begins with\n"
            f"  vlcore replay {folder}\n"
            f"Then correct the data, or lower the learning rate, clip gradients (trainer.gradient_clip_val) or choose "
            f"bf16-mixed precision, and go on from the last checkpoint with --ckpt_path last."
        )


def _reads_flag(optimizer: Optimizer) -> bool:
    """True for optimisers that change nothing where `found_inf` is 1: fused ones, and vlcore's own."""
    return getattr(optimizer, "takes_found_inf", False) or all(group.get("fused") for group in optimizer.param_groups)


def _watch(step: int, batches: list[tuple[int, int, Any]], flag: Tensor) -> _Watched:
    """Send a flag on its way to the host."""
    if flag.device.type == "cpu":
        return _Watched(step, batches, flag, None)
    host = torch.empty((), dtype=flag.dtype, pin_memory=True)
    host.copy_(flag, non_blocking=True)
    arrived = torch.Event(flag.device)
    arrived.record()
    return _Watched(step, batches, host, arrived)


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined, unused-ignore]
    return callbacks
