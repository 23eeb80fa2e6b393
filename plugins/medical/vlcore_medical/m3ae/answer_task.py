"""Fine-tuning of an M3AE: questions about images, or classes of images with texts."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.tasks.frozen_towers import FrozenTowers
from vlcore_medical.m3ae.answer_data import AnswerBatch
from vlcore_medical.m3ae.build import load_m3ae, with_heads
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.training_task import M3AETrainingTask


def answer_loss(logits: Tensor, answers: Tensor, kind: Literal["binary", "softmax"]) -> Tensor:
    """Loss of the answers `[B]`, -1 where an answer is none of the classes.

    Args:
        logits: `[B, A]`.
        answers: `[B]`.
        kind: `binary`: cross-entropy of every class by itself, added up over classes; an unknown answer is none of
            them. `softmax`: cross-entropy of one class, unknown answers left out.
    """
    known = answers >= 0
    if kind == "softmax":
        if not known.any():
            return logits.sum() * 0.0
        return torch.nn.functional.cross_entropy(logits[known].float(), answers[known])
    targets = torch.zeros_like(logits, dtype=torch.float32)
    targets[known] = torch.nn.functional.one_hot(answers[known], logits.shape[1]).float()
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    return each.sum(dim=1).mean()


class M3AEAnswerTask(M3AETrainingTask):
    """Fine-tunes an M3AE to choose among answers (arXiv 2209.07098, section 4.2); the data module brings them.

    Logged: `train/loss`; `val/accuracy`, per cent of all questions, and `val/closed`, `val/open` where the data say
    which are which.

    Args:
        start_from: model directory of a pre-trained, converted or fine-tuned M3AE.
        image_size: pixels of a side, such as 384; that of the model if left out.
        loss: `binary` for questions, `softmax` for classes.
        learning_rate: peak, of the two towers.
        fusion_factor: of the fusion's learning rate.
        head_factor: of the head's: 50 for questions, 10 for classes in the paper.
        weight_decay: of matrices.
        warmup: steps if a whole number, share of all steps if a fraction below 1.
        model: in place of `start_from`.
    """

    def __init__(
        self,
        start_from: str | None = None,
        image_size: int | None = None,
        loss: Literal["binary", "softmax"] = "binary",
        learning_rate: float = 5e-6,
        fusion_factor: float = 5.0,
        head_factor: float = 50.0,
        weight_decay: float = 0.01,
        warmup: int | float = 0.1,
        model: M3AEModel | None = None,
    ) -> None:
        if model is None:
            if start_from is None:
                raise ConfigurationError(
                    "start_from is missing: name the directory of a pre-trained or converted M3AE."
                )
            model = load_m3ae(start_from)
        super().__init__(model, learning_rate, fusion_factor, head_factor, weight_decay, warmup)
        self.save_hyperparameters(ignore=["model"])
        self.image_size = image_size
        self.loss = loss
        self._counts: dict[str, Tensor] = {}

    def setup(self, stage: str) -> None:
        """Give the model the head for the answers of the data; one that it has for the same answers stays.

        Raises:
            ConfigurationError: if the data module has no answers.
        """
        answers = getattr(getattr(self.trainer, "datamodule", None), "answers", None)
        if not answers:
            raise ConfigurationError("The data have no answers: give an AnswerDataModule.")
        size = self.image_size or self.model.network.m3ae_shape.image_size
        if (self.model.network.answers, self.model.network.m3ae_shape.image_size) != (answers, size):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(torch.initial_seed())
                self.model = with_heads(self.model, ["answers"], answers, size)
            self._frozen = FrozenTowers(self.model)

    def training_step(self, batch: AnswerBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        assert batch.answers is not None
        loss = answer_loss(self.model.answer(batch), batch.answers, self.loss)
        self.log("train/loss", loss.detach(), batch_size=len(batch), on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: AnswerBatch, batch_idx: int) -> None:
        """Count right answers."""
        assert batch.answers is not None and batch.closed is not None
        right = self.model.answer(batch).argmax(dim=1) == batch.answers
        parts = {"accuracy": torch.ones_like(right), "closed": batch.closed == 1, "open": batch.closed == 0}
        for name, chosen in parts.items():
            count = torch.stack([(right & chosen).sum(), chosen.sum()])
            self._counts[name] = self._counts[name] + count if name in self._counts else count

    def test_step(self, batch: AnswerBatch, batch_idx: int) -> None:
        """As `validation_step`, on test questions."""
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log the shares of right answers."""
        self._log_counts("val")

    def on_test_epoch_end(self) -> None:
        """Log the shares of right answers."""
        self._log_counts("test")

    def _log_counts(self, stage: str) -> None:
        counts, self._counts = self._counts, {}
        for name, count in counts.items():
            total: Any = self.trainer.strategy.reduce(count, reduce_op="sum")
            if total[1] > 0:
                self.log(f"{stage}/{name}", 100.0 * total[0] / total[1], prog_bar=True, rank_zero_only=False)
