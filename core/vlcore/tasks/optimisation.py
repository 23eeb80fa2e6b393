"""AdamW and its schedule, with the number of steps counted by vlcore itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

ScheduleName = Literal["cosine", "constant"]
"""How the learning rate goes on after its warm-up: down to zero along half a cosine, or not at all."""

_FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


class WarmupSchedule:
    """Factor of the learning rate by optimiser step: a linear warm-up, then a cosine or a constant.

    The length of a run is known only when its loaders exist, so `total_steps` is set when training starts.

    Args:
        name: `cosine` (SGDR without restarts, arXiv 1608.03983) or `constant`.
        warmup: steps if a whole number, share of all steps if a fraction below 1.

    Attributes:
        total_steps: optimiser steps of the whole run; infinity until it is known, and for endless runs.

    Raises:
        ConfigurationError: if the warm-up is negative, or a fraction of 1 or more.
    """

    def __init__(self, name: ScheduleName, warmup: int | float) -> None:
        if warmup < 0 or (isinstance(warmup, float) and warmup >= 1):
            raise ConfigurationError(
                f"warmup={warmup}: choose a whole number of steps, or a fraction of all steps from 0.0 to below 1.0."
            )
        self.name = name
        self.warmup = warmup
        self.total_steps = math.inf

    @property
    def warmup_steps(self) -> int:
        """Steps until the full rate is reached."""
        if isinstance(self.warmup, int):
            return self.warmup
        return round(self.warmup * self.total_steps) if math.isfinite(self.total_steps) else 0

    def __call__(self, step: int) -> float:
        """Factor for a step, counted from 0; 0 from `total_steps` on where there is a cosine."""
        warmup = self.warmup_steps
        if step < warmup:
            # The first step learns something already, and the last one of the warm-up has the full rate.
            return (step + 1) / warmup
        if self.name == "constant" or math.isinf(self.total_steps):
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, self.total_steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * progress))


def count_steps(trainer: Trainer) -> float:
    """Optimiser steps of the whole run: `max_steps`, or `max_epochs` times the steps of an epoch, whichever is less.

    Lightning's own `estimated_stepping_batches` sets the loaders up ahead of time, and a run that is resumed in the
    middle of an epoch then silently reads its batches again (Lightning issue 20550). This asks for the loaders' length
    after Lightning has made them: call it from `on_train_start` on.

    Returns:
        A whole number, or infinity for an endless run.
    """
    limits = []
    if trainer.max_steps != -1:
        limits.append(float(trainer.max_steps))
    if trainer.max_epochs is not None and trainer.max_epochs != -1:
        # The last batches of an epoch make a step even if fewer than accumulate_grad_batches are left.
        batches = trainer.num_training_batches
        steps = batches if math.isinf(batches) else math.ceil(batches / trainer.accumulate_grad_batches)
        limits.append(float(trainer.max_epochs * steps))
    return min(limits, default=math.inf)


def start_schedule(scheduler: LambdaLR, schedule: WarmupSchedule, total_steps: float) -> None:
    """Tell a schedule how long the run is, and set the learning rates of the step it stands at.

    Args:
        scheduler: that goes by `schedule` in all its groups.
        schedule: to be told.
        total_steps: from `count_steps`.

    Raises:
        ConfigurationError: if a schedule that ends gets an endless run.
    """
    if math.isinf(total_steps) and (schedule.name == "cosine" or 0 < schedule.warmup < 1):
        raise ConfigurationError(
            "The run has no end, so a cosine or a warm-up given as a fraction cannot be computed: set "
            "trainer.max_steps, or choose schedule='constant' with a whole number of warm-up steps."
        )
    schedule.total_steps = total_steps
    for group, base in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
        group["lr"] = base * schedule(scheduler.last_epoch)


def build_optimizer(
    module: nn.Module, learning_rate: float, weight_decay: float, betas: tuple[float, float], *, fused: bool = True
) -> AdamW:
    """AdamW (arXiv 1711.05101) over what learns; biases, norms and the temperature do not decay.

    Args:
        module: with frozen and learning parameters.
        learning_rate: peak.
        weight_decay: of matrices and larger tensors.
        betas: decay of the first and second moment.
        fused: use the fused kernel where the parameters' device and type have one.

    Raises:
        ConfigurationError: if nothing learns.
    """
    groups = parameter_groups(module, weight_decay)
    parameters = [parameter for group in groups for parameter in group["params"]]
    if not parameters:
        raise ConfigurationError(
            "Nothing learns: both towers are frozen and the heads have no parameters. Choose image_trainable or "
            "text_trainable, or heads with weights such as 'residual_mlp'."
        )
    fused = fused and all(
        parameter.device.type in _FUSED_DEVICES and torch.is_floating_point(parameter) for parameter in parameters
    )
    return AdamW(groups, lr=learning_rate, betas=betas, fused=fused)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Learning parameters in one group that decays and one that does not; empty groups are left out."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # Biases and the scales of norms are vectors, temperature and logit bias are scalars.
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
