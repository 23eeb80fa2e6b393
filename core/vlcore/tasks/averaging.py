"""Exponential moving average of the weights."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage(WeightAveraging):
    """Validates, checkpoints and saves the average of the weights of recent steps.

    This is Lightning's WeightAveraging, as its EMAWeightAveraging is, with two differences. Frozen weights stay bit
    for bit what they are: EMAWeightAveraging computes `decay * w + (1 - decay) * w`, which drifts away from w by
    rounding (1e-5 of the value after 3,000 steps) and so changes the fingerprint of a frozen tower. And the average
    lives on the device that trains, not where the model was built.

    Args:
        decay: share of the old average that stays at each step; about the last 1 / (1 - decay) steps count.
        start_step: optimiser step, from 0, at which averaging starts.
    """

    def __init__(self, decay: float = 0.999, start_step: int = 0) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call, unused-ignore]
        self.decay = decay
        self.start_step = start_step

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average, on the device that trains."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Update after every step from `start_step` on."""
        return step_idx is not None and step_idx >= self.start_step
