"""What every training task shares: optimiser, schedule, exact resuming, and checkpoints without frozen towers."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vlcore.encoders.inference import ImageInference
from vlcore.tasks.exact_resume import ExactResume
from vlcore.tasks.finite_gradients import FiniteGradients
from vlcore.tasks.frozen_towers import FrozenTowers
from vlcore.tasks.optimisation import build_optimizer
from vlcore.tasks.schedule import WarmupSchedule, count_steps, start_schedule


class TrainingTask(LightningModule):
    """Trains a model with towers.

    Args:
        model: with `image_encoder`, `text_encoder` and `clamp_temperature`.
        learning_rate: peak.
        weight_decay: of matrices; biases, norms and the temperature do not decay.
        betas: of AdamW.
        schedule: of the learning rate.
    """

    accumulation_warning: ClassVar[str]
    """What `accumulate_grad_batches={batches}` does to the loss."""

    def __init__(
        self,
        model: Any,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float],
        schedule: WarmupSchedule,
    ) -> None:
        super().__init__()
        self.model = model
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.betas = betas
        self.schedule = schedule
        self._frozen = FrozenTowers(model)

    def configure_callbacks(self) -> list[Callback]:
        """What every training run has: exact resuming, and no step with NaN or infinite gradients."""
        return [ExactResume(), FiniteGradients()]

    def configure_optimizers(self) -> Any:
        """AdamW and a schedule by step; its length is set in `on_train_start`."""
        optimizer = self.build_optimizer()
        scheduler = LambdaLR(optimizer, [self.schedule] * len(optimizer.param_groups))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def build_optimizer(self) -> Optimizer:
        """AdamW over what learns."""
        # Fused AdamW unscales half-precision gradients by itself, which Lightning cannot combine with clipping.
        clips_scaled = self.trainer.precision == "16-mixed" and self.trainer.gradient_clip_val is not None
        optimizer = build_optimizer(
            self.model, self.learning_rate, self.weight_decay, self.betas, fused=not clips_scaled
        )
        if self.trainer.precision == "bf16-mixed":
            # Nothing is scaled in bfloat16; Lightning asks for this mark alone and would refuse to clip.
            optimizer._step_supports_amp_scaling = False
        return optimizer

    def on_train_start(self) -> None:
        """Fix the length of the schedule, and say what accumulation does."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, LambdaLR):
            start_schedule(scheduler, self.schedule, count_steps(self.trainer))
        if (batches := self.trainer.accumulate_grad_batches) > 1:
            rank_zero_warn(self.accumulation_warning.format(batches=batches))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step, then hold the temperature within its bound."""
        super().optimizer_step(*args, **kwargs)
        self.model.clamp_temperature()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the weights of frozen towers out."""
        self._frozen.remove(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the frozen towers back in, if they are the same."""
        self._frozen.restore(checkpoint)

    def image_features(self) -> ImageInference:
        """The image tower as it stands: `[B, 3, H, W]` uint8 to pooled features `[B, Wi]`, without gradients."""
        return ImageInference(self.model.image_encoder)

    def tower_fingerprint(self, name: str) -> str:
        """Fingerprint of the frozen tower `image_encoder` or `text_encoder`, computed once."""
        return self._frozen.fingerprint(name)
