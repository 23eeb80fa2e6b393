"""Contrastive alignment of an image tower and a text tower."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from vlcore.data.mixture_datamodule import MixtureDataModule
from vlcore.data.pair_datamodule import PairDataModule
from vlcore.errors import ConfigurationError
from vlcore.heads.base import Head
from vlcore.heads.standardise import StandardisedHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.objectives.assignment_prediction import AssignmentPrediction
from vlcore.tasks.build import ObjectiveName, build_model, build_objective
from vlcore.tasks.micro_batches import MicroBatches
from vlcore.tasks.multi_task_adamw import MultiTaskAdamW
from vlcore.tasks.optimisation import OptimizerName, build_lion, build_multi_task_optimizer
from vlcore.tasks.retrieval_monitor import RetrievalMonitor
from vlcore.tasks.schedule import ScheduleName, WarmupSchedule
from vlcore.tasks.training_task import TrainingTask
from vlcore.types import DualEncoderOutput, PairBatch, Trainable


class AlignmentTask(TrainingTask):
    """Trains heads, and towers where they may learn, so that images and their texts embed close together.

    Captions of one image, and captions that say the same, are positives of each other. In several processes every
    pair is contrasted with the pairs of all of them, with exact gradients. The model that is trained is `model`.

    Logged: `train/loss`, `train/logit_scale`, `train/pairs_per_loss`; `val/loss` and `val/mean_recall` (per cent, mean
    of recall at 1, 5 and 10 both ways), likewise `test/…`.

    Args:
        image_encoder: name of an image tower, such as `starter/efficientnet_lite0`; with `text_encoder`.
        text_encoder: name of a text tower, such as `starter/minilm`.
        dual_encoder: name of towers that come aligned, such as `open_clip/<folder>`, instead of the two.
        image_trainable: which part of the image tower learns: `none`, `all`, or its last N blocks.
        text_trainable: likewise of the text tower.
        image_head: `linear`, `residual_mlp`, `star_mlp`, `token_projector` (on a tower `tokens/…`), `identity` or a
            plugin's head; by default `residual_mlp` on single towers and none on a dual encoder.
        text_head: likewise.
        embedding_size: size of the space that both sides are projected to.
        hidden_features: hidden width of `residual_mlp` and `token_projector`.
        dropout: of `residual_mlp` and `token_projector`.
        expansion: hidden width of `star_mlp` in multiples of the tower's width.
        objective: `info_nce`; `siglip`; `mil_nce`, where of the texts of an image only one has to fit, as in
            narrated video; or `assignment_prediction` (VLAP), by the words of the text tower, whose own width the
            embedding has then (text_head `identity`).
        learning_rate: peak.
        weight_decay: of matrices; biases, norms and the temperature do not decay.
        betas: of AdamW.
        optimizer: `adamw`; `lion`, as SAIL trains with; or `multi_task_adamw`, which balances the data sets of a
            mixture (`MultiTaskAdamW`).
        schedule: `cosine` to zero, `constant`, or `uba`, which is made for runs of a given length (`WarmupSchedule`).
        uba_phi: shape of `uba`: 0 is constant, 2 is cosine, larger numbers fall sooner.
        warmup: optimiser steps if a whole number, share of the run if a fraction.
        micro_batch_size: most pairs that pass through the towers at once; the loss still sees the whole batch, with
            exact gradients, for one more forward pass (`MicroBatches`). None: the whole batch at once.
        micro_batch_tokens: likewise, most text tokens at once, padding included; needs a text tower that learns.
        compile: compile the model with `torch.compile`.
        model: an already built model, instead of all names above it; for use from Python.

    Raises:
        ConfigurationError: if the names do not make a model.
        UnknownNameError: if a name is unknown.
    """

    accumulation_warning = (
        "accumulate_grad_batches={batches}: a contrastive loss is computed in each micro-batch on its own, so a pair "
        "is contrasted with the other pairs of its micro-batch only, and gradients of {batches} such losses are "
        "averaged. That smooths the gradient; it does not add negatives, and is not training with a batch {batches} "
        "times as large. For more negatives raise data.batch_size and, where memory is short, set "
        "model.micro_batch_size, which is exact; train/pairs_per_loss logs how many pairs each loss sees."
    )

    def __init__(
        self,
        image_encoder: str | None = None,
        text_encoder: str | None = None,
        dual_encoder: str | None = None,
        image_trainable: Trainable = "none",
        text_trainable: Trainable = "none",
        image_head: str | None = None,
        text_head: str | None = None,
        embedding_size: int = 512,
        hidden_features: int = 512,
        dropout: float = 0.3,
        expansion: int = 8,
        objective: ObjectiveName = "info_nce",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        betas: tuple[float, float] = (0.9, 0.98),
        optimizer: OptimizerName = "adamw",
        schedule: ScheduleName = "cosine",
        uba_phi: float = 1.0,
        warmup: int | float = 0.05,
        micro_batch_size: int | None = None,
        micro_batch_tokens: int | None = None,
        compile: bool = False,
        model: DualEncoder | None = None,
    ) -> None:
        if model is None:
            model = build_model(
                image_encoder,
                text_encoder,
                dual_encoder,
                image_trainable=image_trainable,
                text_trainable=text_trainable,
                image_head=image_head,
                text_head=text_head,
                embedding_size=embedding_size,
                head_options={"hidden_features": hidden_features, "dropout": dropout, "expansion": expansion},
                objective=objective,
            )
        elif image_encoder is not None or text_encoder is not None or dual_encoder is not None:
            raise ConfigurationError("Give a model or the names of its towers, not both.")
        super().__init__(model, learning_rate, weight_decay, betas, WarmupSchedule(schedule, warmup, uba_phi))
        self.save_hyperparameters(ignore=["model"])
        self.model: DualEncoder
        self.objective = build_objective(objective, model)
        self.optimizer = optimizer
        self.micro_batches = (
            None
            if micro_batch_size is None and micro_batch_tokens is None
            else MicroBatches(micro_batch_size, micro_batch_tokens)
        )
        if compile:
            self.model.compile()
        self._monitors: dict[int, RetrievalMonitor] = {}
        self._dataset = 0

    def on_fit_start(self) -> None:
        """Count the words of the training texts, where the objective weighs them."""
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(self.objective, AssignmentPrediction) and isinstance(data, PairDataModule):
            ids = self.model.text_encoder.tokenizer(data.training_texts())
            words = ids.input_ids[ids.attention_mask.bool()]
            self.objective.set_word_counts(torch.bincount(words, minlength=len(self.objective.words)))

    def embed(self, batch: PairBatch) -> DualEncoderOutput:
        """Embed a batch for training, in micro-batches where they are set."""
        if self.micro_batches is not None:
            return self.micro_batches.embed(self.model, batch)
        output: DualEncoderOutput = self.model(batch)
        return output

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        output = self.embed(batch)
        loss = self._loss(output, batch, self._processes())
        self._dataset = batch.dataset
        self.log("train/loss", loss, batch_size=len(batch), on_step=False, on_epoch=True, prog_bar=True)
        if (name := self._dataset_name(batch.dataset)) is not None:
            self.log(f"train/{name}/loss", loss, batch_size=len(batch), on_step=False, on_epoch=True)
        self.log("train/logit_scale", output.logit_scale.detach(), batch_size=len(batch), on_step=False, on_epoch=True)
        # The mean over processes of W times their pairs is the number of pairs in the loss.
        pairs = float(len(batch) * self.trainer.world_size)
        self.log("train/pairs_per_loss", pairs, batch_size=1, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Loss of a batch; its embeddings are kept for the epoch's recall."""
        self._evaluate(batch, "val")

    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        """As `validation_step`, on test pairs."""
        self._evaluate(batch, "test")

    def predict_step(self, batch: PairBatch, batch_idx: int) -> dict[str, Tensor]:
        """Embeddings `[B, D]` of both sides of a batch with its `image_index` `[B]`."""
        output = self._embed_once(batch)
        return {"image": output.image, "text": output.text, "image_index": batch.image_index}

    def on_validation_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("val")

    def on_test_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("test")

    def build_optimizer(self) -> Optimizer:
        """The optimiser that was chosen, over what learns."""
        if self.optimizer == "multi_task_adamw":
            return self._multi_task_optimizer()
        if self.optimizer == "lion":
            return build_lion(self.model, self.learning_rate, self.weight_decay, self.betas)
        return super().build_optimizer()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Tell the optimiser whose gradients these are."""
        if isinstance(optimizer, MultiTaskAdamW):
            optimizer.dataset = self._dataset

    @torch.inference_mode()
    def text_features(self, texts: list[str]) -> Tensor:
        """The text tower as it stands: B texts to pooled features `[B, Wt]`, without gradients."""
        tower = self.model.text_encoder
        device = next(tower.parameters()).device
        tokens = tower.tokenizer(texts)
        return tower.pool(tokens.input_ids.to(device), tokens.attention_mask.to(device))

    @property
    def needs_feature_statistics(self) -> bool:
        """True where a head standardises its features and has no statistics yet."""
        return any(map(_unstandardised, (self.model.image_head, self.model.text_head)))

    def set_feature_statistics(self, image: NDArray[np.float32], text: NDArray[np.float32]) -> None:
        """Take mean and deviation of training features `[N, Wi]` and `[M, Wt]` for heads that have none."""
        for head, features in ((self.model.image_head, image), (self.model.text_head, text)):
            if _unstandardised(head):
                mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
                head.set_statistics(torch.from_numpy(mean), torch.from_numpy(scale))

    def _multi_task_optimizer(self) -> MultiTaskAdamW:
        if self.trainer.accumulate_grad_batches > 1:
            raise ConfigurationError(
                f"optimizer='multi_task_adamw' with accumulate_grad_batches={self.trainer.accumulate_grad_batches}: "
                f"gradients of different data sets would be added before they are balanced. Leave accumulation out, "
                f"and set model.micro_batch_size where memory is short."
            )
        mixture = self._mixture()
        if mixture is None:
            raise ConfigurationError(
                "optimizer='multi_task_adamw' balances the data sets of a mixture, and there is none: train on a "
                "MixtureDataModule, or choose optimizer='adamw'."
            )
        return build_multi_task_optimizer(
            self.model, self.learning_rate, self.weight_decay, self.betas, mixture.shares, mixture.balance
        )

    def _mixture(self) -> MixtureDataModule | None:
        data = getattr(self.trainer, "datamodule", None)
        return data if isinstance(data, MixtureDataModule) else None

    def _dataset_name(self, dataset: int) -> str | None:
        """Name of a data set of a mixture; None where there is no mixture."""
        mixture = self._mixture()
        return None if mixture is None else list(mixture.datasets)[dataset]

    def _processes(self) -> dist.ProcessGroup | None:
        """The processes whose pairs make up a training batch; None where there is one."""
        return dist.group.WORLD if self.trainer.world_size > 1 else None

    def _loss(self, output: DualEncoderOutput, batch: PairBatch, processes: dist.ProcessGroup | None = None) -> Tensor:
        loss: Tensor = self.objective(
            output.image,
            output.text,
            output.logit_scale,
            output.logit_bias,
            image_index=batch.image_index,
            text_key=batch.text_key,
            process_group=processes,
        )
        return loss

    def _evaluate(self, batch: PairBatch, stage: str) -> None:
        output = self._embed_once(batch)
        loss = self._loss(output, batch)
        self.log(f"{stage}/loss", loss, batch_size=len(batch), on_epoch=True, prog_bar=True, sync_dist=True)
        if (name := self._dataset_name(batch.dataset)) is not None:
            self.log(f"{stage}/{name}/loss", loss, batch_size=len(batch), on_epoch=True, sync_dist=True)
        monitor = self._monitors.setdefault(batch.dataset, RetrievalMonitor())
        monitor.add(output.image, output.text, batch.image_index)

    def _embed_once(self, batch: PairBatch) -> DualEncoderOutput:
        """Embed a batch whose rows may share images: each image passes through its tower once."""
        model = self.model
        if batch.images is None:
            output: DualEncoderOutput = model(batch)
            return output
        distinct, row = torch.unique(batch.image_index, return_inverse=True)
        first = torch.zeros_like(distinct).scatter_(0, row, torch.arange(len(row), device=row.device))
        image = model.encode_images(batch.images[first])[row]
        if batch.text_features is not None:
            text = model.project_texts(batch.text_features)
        elif batch.input_ids is not None and batch.attention_mask is not None:
            text = model.encode_texts(batch.input_ids, batch.attention_mask)
        else:
            raise ConfigurationError("The batch has no texts.")
        return model.output(image, text)

    def _log_recall(self, stage: str) -> None:
        recalls = []
        for dataset, monitor in sorted(self._monitors.items()):
            scores = monitor.compute(self)
            if scores is None:
                continue
            recalls.append(scores.mean_recall)
            if (name := self._dataset_name(dataset)) is not None:
                self.log(f"{stage}/{name}/mean_recall", scores.mean_recall, rank_zero_only=False)
        if recalls:
            mean = sum(recalls) / len(recalls)
            self.log(f"{stage}/mean_recall", mean, prog_bar=True, rank_zero_only=False)


def _unstandardised(head: Head) -> TypeGuard[StandardisedHead]:
    if not isinstance(head, StandardisedHead):
        return False
    statistics = head.standardise
    return bool((statistics.mean == 0).all() and (statistics.scale == 1).all())
