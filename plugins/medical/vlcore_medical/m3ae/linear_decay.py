"""The learning rate that M3AE is trained with."""

from __future__ import annotations

import math

from vlcore.tasks.schedule import WarmupSchedule


class LinearDecay(WarmupSchedule):
    """A linear warm-up, then down to zero along a line (arXiv 2209.07098, section 4.1).

    Args:
        warmup: steps if a whole number, share of all steps if a fraction below 1.
    """

    def __init__(self, warmup: int | float) -> None:
        # To whoever asks it is one of those that end, as the cosine is.
        super().__init__("cosine", warmup)

    def __call__(self, step: int) -> float:
        """Factor for a step, counted from 0; 0 from `total_steps` on."""
        warmup = self.warmup_steps
        if step < warmup or math.isinf(self.total_steps):
            return super().__call__(step)
        return 1 - min(1.0, (step - warmup) / max(1, self.total_steps - warmup))
