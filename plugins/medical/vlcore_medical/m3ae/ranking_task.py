"""Fine-tuning of an M3AE to rank: which text belongs to an image."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.objectives.image_text_matching import match_score
from vlcore.tasks.fusion.monitor import MatchingMonitor
from vlcore.types import PairBatch
from vlcore_medical.m3ae.build import load_m3ae, with_heads
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.training_task import M3AEMatchingTask


def candidate_texts(positives: Tensor, negatives: int) -> tuple[Tensor, Tensor]:
    """For each image its own text, and others drawn at random from the batch.

    Args:
        positives: `[B, B]` bool, True where image (row) and text (column) belong together.
        negatives: N, of an image; fewer where the batch has not as many.

    Returns:
        Rows `[B, 1 + M]` of texts, the own one first, and `[B, 1 + M]` bool, False on those that are none.
    """
    lot = torch.rand(positives.shape, device=positives.device).masked_fill(positives, -1.0)
    drawn = lot.topk(min(negatives, len(positives)), dim=1)
    own = torch.arange(len(positives), device=positives.device)[:, None]
    return torch.cat([own, drawn.indices], dim=1), torch.cat([own >= 0, drawn.values >= 0], dim=1)


class M3AERankingTask(M3AEMatchingTask):
    """Fine-tunes an M3AE to score its own text above others (arXiv 2209.07098, section 4.2).

    The score begins with what the head for matching says of yes. What comes out re-ranks searches as any fusion model.
    Texts of the batch stand in for random ones of the data set, and none that belongs to the image is a negative.

    Logged: `train/loss`; `val/mean_recall`, per cent, over the first 64 validation images with one caption each.

    Args:
        start_from: model directory of a pre-trained or converted M3AE.
        image_size: pixels of a side; that of the model if left out.
        negatives: texts per image besides its own.
        learning_rate: peak, of the two towers.
        fusion_factor: of the learning rate of fusion and head.
        weight_decay: of matrices.
        warmup: steps if a whole number, share of all steps if a fraction below 1.
        model: in place of `start_from`.
    """

    def __init__(
        self,
        start_from: str | None = None,
        image_size: int | None = None,
        negatives: int = 15,
        learning_rate: float = 5e-6,
        fusion_factor: float = 5.0,
        weight_decay: float = 0.01,
        warmup: int | float = 0.1,
        model: M3AEModel | None = None,
    ) -> None:
        if negatives < 1:
            raise ConfigurationError(f"negatives={negatives}: an image needs at least one other text to be told from.")
        if model is None:
            if start_from is None:
                raise ConfigurationError(
                    "start_from is missing: name the directory of a pre-trained or converted M3AE."
                )
            model = load_m3ae(start_from)
        model = with_heads(model, ["ranking"], image_size=image_size)
        super().__init__(model, learning_rate, fusion_factor, fusion_factor, weight_decay, warmup)
        self.save_hyperparameters(ignore=["model"])
        self.negatives = negatives
        self._matching = MatchingMonitor()

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        text, image = self.read(batch)
        same = (batch.image_index[:, None] == batch.image_index) | (batch.text_key[:, None] == batch.text_key)
        rows, real = candidate_texts(same, self.negatives)
        images = torch.arange(len(batch), device=rows.device).repeat_interleave(rows.shape[1])
        scores = match_score(self.model.network.match(text.take(rows.flatten()), image.take(images))).view(rows.shape)
        scores = scores.float().masked_fill(~real, -torch.inf)
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros_like(rows[:, 0]))
        self.log("train/loss", loss.detach(), batch_size=len(batch), on_step=False, on_epoch=True, prog_bar=True)
        return loss
