"""The learning rate by step, with the number of steps counted by vlcore itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from torch.optim.lr_scheduler import LambdaLR

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

ScheduleName = Literal["cosine", "constant", "uba"]
"""How the learning rate goes on after its warm-up: down to zero along half a cosine, not at all, or between the two."""


class WarmupSchedule:
    """Factor of the learning rate by optimiser step: a linear warm-up, then a cosine, a constant or UBA.

    UBA (Stepsize Anything, a unified budget-aware schedule) is `2 (1 + c) / (2 phi + (2 - phi) (1 + c))` with
    `c = cos(pi t)` and t the share of the run that is done. It ends at 0 for every phi above 0, whatever the budget;
    phi 0 is constant, 2 is half a cosine exactly, between them the rate stays high for longer, and above 2 it falls
    sooner. The authors link phi to how ill-conditioned the problem is and publish no table that we could read: the
    default 1, half way between constant and cosine, is ours. The formula is that of implementations that cite the
    paper and meet its limits.

    The length of a run is known only when its loaders exist, so `total_steps` is set when training starts.

    Args:
        name: `cosine` (SGDR without restarts, arXiv 1608.03983), `constant` or `uba`.
        warmup: steps if a whole number, share of all steps if a fraction below 1.
        phi: shape of `uba`; without effect on the others.

    Attributes:
        total_steps: optimiser steps of the whole run; infinity until it is known, and for endless runs.

    Raises:
        ConfigurationError: if the warm-up is negative, or a fraction of 1 or more, or phi is negative.
    """

    def __init__(self, name: ScheduleName, warmup: int | float, phi: float = 1.0) -> None:
        if warmup < 0 or (isinstance(warmup, float) and warmup >= 1):
            raise ConfigurationError(
                f"warmup={warmup}: choose a whole number of steps, or a fraction of all steps from 0.0 to below 1.0."
            )
        if not 0 <= phi < math.inf:
            raise ConfigurationError(
                f"uba_phi={phi}: choose 0 (constant), 2 (cosine), between them, or more to fall sooner."
            )
        self.name = name
        self.warmup = warmup
        self.phi = phi
        self.total_steps = math.inf

    @property
    def warmup_steps(self) -> int:
        """Steps until the full rate is reached."""
        if isinstance(self.warmup, int):
            return self.warmup
        return round(self.warmup * self.total_steps) if math.isfinite(self.total_steps) else 0

    def __call__(self, step: int) -> float:
        """Factor for a step, counted from 0; 0 from `total_steps` on where the schedule ends."""
        warmup = self.warmup_steps
        if step < warmup:
            # The first step learns something already, and the last one of the warm-up has the full rate.
            return (step + 1) / warmup
        if self.name == "constant" or math.isinf(self.total_steps):
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, self.total_steps - warmup))
        height = 1 + math.cos(math.pi * progress)
        if self.name == "cosine":
            return 0.5 * height
        if self.phi == 0:
            return 1.0
        return 2 * height / (2 * self.phi + (2 - self.phi) * height)


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
    if math.isinf(total_steps) and (schedule.name != "constant" or 0 < schedule.warmup < 1):
        raise ConfigurationError(
            "The run has no end, so a schedule that ends, or a warm-up given as a fraction, cannot be computed: set "
            "trainer.max_steps, or choose schedule='constant' with a whole number of warm-up steps."
        )
    schedule.total_steps = total_steps
    for group, base in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
        group["lr"] = base * schedule(scheduler.last_epoch)
