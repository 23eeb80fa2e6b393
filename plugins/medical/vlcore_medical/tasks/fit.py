"""One loop for all small models of this room: rows that lie in memory, AdamW, half a cosine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from vlcore.errors import ConfigurationError, NonFiniteGradientsError
from vlcore.tasks.optimisation import build_optimizer
from vlcore.tasks.schedule import WarmupSchedule

_BETAS = (0.9, 0.98)
_CLIP = 1.0
"""Largest norm of the gradients."""


@dataclass(frozen=True)
class FitSettings:
    """How a model is trained.

    Attributes:
        epochs: over all rows.
        batch_size: rows per step.
        learning_rate: peak, after a tenth of the steps.
        weight_decay: of matrices.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


def fit(
    model: nn.Module, loss: Callable[[Tensor], Tensor], rows: int, settings: FitSettings, *, seed: int = 0
) -> list[float]:
    """Train a model and leave it in evaluation mode.

    The seed decides the order and the dropout; the weights were drawn by whoever built the model. The caller's random
    state is put back.

    Args:
        model: what learns.
        loss: from row numbers `[B]` int64 to a scalar.
        rows: N.
        settings: how.
        seed: of the order and of dropout.

    Returns:
        Mean loss of each epoch.

    Raises:
        ConfigurationError: if there are no rows, or nothing learns.
        NonFiniteGradientsError: if the loss becomes NaN or infinite.
    """
    if rows < 1:
        raise ConfigurationError("There is nothing to train on: 0 rows. Check the split and the labels.")
    optimizer = build_optimizer(model, settings.learning_rate, settings.weight_decay, _BETAS)
    schedule = WarmupSchedule("cosine", 0.1)
    schedule.total_steps = settings.epochs * -(-rows // settings.batch_size)
    scheduler = LambdaLR(optimizer, schedule)
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.train()
        for epoch in range(settings.epochs):
            total = 0.0
            for chosen in torch.split(torch.randperm(rows), settings.batch_size):
                value = loss(chosen)
                if not torch.isfinite(value):
                    raise NonFiniteGradientsError(
                        f"The loss became {float(value)} in epoch {epoch + 1}. Lower learning_rate="
                        f"{settings.learning_rate}, or look for NaN in the features."
                    )
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
                optimizer.step()
                scheduler.step()
                total += float(value.detach()) * len(chosen)
            losses.append(total / rows)
    model.eval()
    return losses
