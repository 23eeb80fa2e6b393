"""What the training tasks of an M3AE share."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import AdamW, Optimizer

from vlcore.models.fusion.stream import States
from vlcore.tasks.fusion.monitor import MatchingMonitor
from vlcore.tasks.training_task import TrainingTask
from vlcore.types import PairBatch
from vlcore_medical.m3ae.linear_decay import LinearDecay
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.parameter_groups import m3ae_parameter_groups


class M3AETrainingTask(TrainingTask):
    """What pre-training and fine-tuning of an M3AE share: AdamW at three rates, and a rate that falls along a line.

    Args:
        model: to be trained.
        learning_rate: peak, of the two towers.
        fusion_factor: of the fusion's learning rate.
        head_factor: of the heads'.
        weight_decay: of matrices.
        warmup: steps if a whole number, share of all steps if a fraction below 1.
        decay_image_norms: let the scales of the image tower's norms decay too.
    """

    model: M3AEModel
    accumulation_warning = (
        "accumulate_grad_batches={batches}: images of negatives come from one micro-batch at a time, and gradients of "
        "{batches} losses are averaged. For more negatives raise data.batch_size."
    )
    needs_feature_statistics = False

    def __init__(
        self,
        model: M3AEModel,
        learning_rate: float,
        fusion_factor: float,
        head_factor: float,
        weight_decay: float,
        warmup: int | float,
        decay_image_norms: bool = False,
    ) -> None:
        super().__init__(model, learning_rate, weight_decay, (0.9, 0.98), LinearDecay(warmup))
        self.fusion_factor = fusion_factor
        self.head_factor = head_factor
        self.decay_image_norms = decay_image_norms

    def build_optimizer(self) -> Optimizer:
        """AdamW with the rates of towers, fusion and heads."""
        factors = (self.fusion_factor, self.head_factor, self.decay_image_norms)
        groups = m3ae_parameter_groups(self.model, self.learning_rate, self.weight_decay, *factors)
        return AdamW(groups, lr=self.learning_rate, betas=self.betas)

    def set_feature_statistics(self, image: NDArray[np.float32], text: NDArray[np.float32]) -> None:
        """Nothing: no head standardises its features."""

    def text_features(self, texts: list[str]) -> Tensor:
        """Nothing: the texts of a fusion model are read anew in every step."""
        return torch.zeros(len(texts), 1)


class M3AEMatchingTask(M3AETrainingTask):
    """Validates by ranks: which text belongs to which image, as the head for matching says.

    Logged: `val/mean_recall` and `test/mean_recall`, per cent, over the first 64 images with one text each.
    """

    _matching: MatchingMonitor

    def read(self, batch: PairBatch) -> tuple[States, States]:
        """Texts and images of a batch as the matching head reads them."""
        assert batch.input_ids is not None and batch.attention_mask is not None
        text = self.model.network.stream.read_text(batch.input_ids, batch.attention_mask)
        return text, self.model.read_images(batch)

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Read both sides of a batch; they are ranked at the end of the epoch."""
        self._matching.add(*self.read(batch), batch.image_index)

    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        """As `validation_step`, on test pairs."""
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("val")

    def on_test_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("test")

    def _log_recall(self, stage: str) -> None:
        scores = self._matching.compute(self.model.network)
        if scores is not None:
            self.log(f"{stage}/mean_recall", scores.mean_recall, prog_bar=True, sync_dist=True)
