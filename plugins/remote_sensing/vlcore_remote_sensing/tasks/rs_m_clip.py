"""RS-M-CLIP: contrastive alignment and self-distillation of the image tower at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.mixture_datamodule import MixtureDataModule
from vlcore.errors import ConfigurationError
from vlcore.models.momentum import MomentumModel
from vlcore.tasks.alignment import AlignmentTask
from vlcore.tasks.optimisation import parameter_groups
from vlcore.types import DualEncoderOutput, PairBatch
from vlcore_remote_sensing.heads.self_distillation_head import SelfDistillationHead
from vlcore_remote_sensing.objectives.embedding_anchor import AnchorName, embedding_anchor
from vlcore_remote_sensing.objectives.self_distillation import SelfDistillation
from vlcore_remote_sensing.tasks.image_branch import ImageBranch, follow
from vlcore_remote_sensing.views.multi_crop import MultiCrop, Scale
from vlcore_remote_sensing.views.other_size import check_size, pooled_features
from vlcore_remote_sensing.views.smallest_tile import smallest_tile

MomentumSchedule = Literal["constant", "cosine"]


class RSMClipTask(AlignmentTask):
    """Trains a dual encoder on captioned tiles, while its image tower learns that parts of a tile belong to the whole.

    The recipe of RS-M-CLIP (arXiv 2410.23370), whose paper and release leave most numbers open: the contrastive loss of
    `AlignmentTask`, and DINO's self-distillation (arXiv 2104.14294) of the image tower by its own moving average. As in
    SILC (arXiv 2310.13355), every global view is contrasted with the captions as well, the losses of the views being
    averaged, and the teacher's momentum is constant: one that goes to 1 would stop it from learning from the texts.

    Logged besides what `AlignmentTask` logs, whose `train/loss` is the contrastive part: `train/self_distillation`,
    `train/anchor` and `train/total_loss`.

    Args:
        global_views: views of most of a tile, which student and teacher see and captions are contrasted with.
        local_views: views of small parts, which the student alone sees; 0 for none.
        local_size: pixels of a side of a small view; by default three sevenths of the tower's, as DINO's 96 of 224.
        global_scale: share of a tile's area in a global view.
        local_scale: share of a tile's area in a small view.
        mirror: probability that a view is mirrored; 0 where captions speak of left and right.
        least_local_pixels: side of a small view at least, in pixels of the tile as it is stored; see `MultiCrop.guard`.
        distillation_weight: of the self-distillation beside the contrastive loss; 0 leaves it out altogether.
        head_outputs: width of the projection that views are compared in.
        head_hidden_features: hidden width of that projection.
        head_learning_rate: of that projection, which begins untrained; the model's `learning_rate` if left out.
        last_layer_held_epochs: epochs in which the projection's last layer stays as it is.
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's softmax.
        teacher_warmup_temperature: of the teacher's softmax in the first epoch.
        teacher_warmup_epochs: epochs from the one to the other.
        centre_momentum: share of the centre that stays in a step.
        teacher_momentum: share of the teacher's weights that stays in a step.
        teacher_momentum_schedule: `constant`, or `cosine` to 1 over the run as in DINO.
        anchor: what holds image embeddings near those at the start, `squared_distance` or `similarity_divergence`;
            for models that come aligned. None: nothing does.
        anchor_weight: of that.
        options: of `AlignmentTask`; the image tower has to learn (`image_trainable`).

    Raises:
        ConfigurationError: if an option is out of its range, or the tower cannot take small views.
    """

    def __init__(
        self,
        *,
        global_views: int = 2,
        local_views: int = 8,
        local_size: int | None = None,
        global_scale: Scale = (0.4, 1.0),
        local_scale: Scale = (0.05, 0.4),
        mirror: float = 0.5,
        least_local_pixels: int = 32,
        distillation_weight: float = 1.0,
        head_outputs: int = 65_536,
        head_hidden_features: int = 2048,
        head_learning_rate: float | None = None,
        last_layer_held_epochs: int = 1,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        teacher_warmup_temperature: float = 0.04,
        teacher_warmup_epochs: int = 0,
        centre_momentum: float = 0.9,
        teacher_momentum: float = 0.996,
        teacher_momentum_schedule: MomentumSchedule = "constant",
        anchor: AnchorName | None = None,
        anchor_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        tower = self.model.image_encoder
        _check(self, options, distillation_weight, teacher_momentum, anchor, anchor_weight)
        size = tower.preprocess.size
        local_size = round(3 / 7 * min(size)) if local_size is None else local_size
        # Small views are the student's alone: without distillation nobody looks at them.
        local_views = local_views if distillation_weight else 0
        self.crops = MultiCrop(global_views, local_views, local_size, global_scale, local_scale, mirror)
        self.least_local_pixels = least_local_pixels
        self.distillation_weight = distillation_weight
        self.head_learning_rate = head_learning_rate
        self.last_layer_held_epochs = last_layer_held_epochs
        self.teacher_momentum = teacher_momentum
        self.teacher_momentum_schedule = teacher_momentum_schedule
        self.anchor = anchor
        self.anchor_weight = anchor_weight
        self.distillation: SelfDistillation | None = None
        if distillation_weight:
            if local_views:
                check_size(tower, (local_size, local_size))
            self.distillation = SelfDistillation(
                head_outputs,
                student_temperature,
                teacher_temperature,
                teacher_warmup_temperature,
                teacher_warmup_epochs,
                centre_momentum,
            )
            self.head = SelfDistillationHead(tower.width, head_outputs, head_hidden_features)
            self.teacher = MomentumModel(ImageBranch(tower, self.head), teacher_momentum)
        # Never updated: a copy without gradients and dropout, stored with the rest so that a resumed run has it.
        self.base = None if anchor is None else MomentumModel(ImageBranch(tower, self.model.image_head))

    def on_fit_start(self) -> None:
        """Look at how small the tiles are, besides what `AlignmentTask` does."""
        super().on_fit_start()
        data = getattr(self.trainer, "datamodule", None)
        parts = list(data.datasets.values()) if isinstance(data, MixtureDataModule) else [data]
        for part in parts:
            if isinstance(part, ManifestDataModule) and self.distillation is not None:
                pixels = smallest_tile(part.selection.records("train"))
                if pixels is not None:
                    self.crops.guard(pixels, self.least_local_pixels)

    def on_train_start(self) -> None:
        """Fix the length of the schedules.

        Raises:
            ConfigurationError: if a schedule that ends gets an endless run.
        """
        super().on_train_start()
        if self.teacher_momentum_schedule == "cosine" and math.isinf(self.schedule.total_steps):
            raise ConfigurationError(
                "The run has no end, so teacher_momentum_schedule='cosine' cannot be computed: set trainer.max_steps, "
                "or choose 'constant'."
            )

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of a batch, contrastive and by self-distillation."""
        if batch.images is None:
            raise ConfigurationError("The batch has no images to cut views from: train on images, not on features.")
        views = self.crops(batch.images)
        whole = views.whole.flatten(0, 1)  # [G * B, 3, H, W]
        features = self.model.image_features(whole)
        total = super().training_step(replace(batch, images=None, image_features=features), batch_idx)
        if self.distillation is not None:
            student = self.head(features).unflatten(0, views.whole.shape[:2])  # [G, B, K]
            if len(views.local):
                local = self.head(pooled_features(self.model.image_encoder, views.local.flatten(0, 1)))
                student = torch.cat([student, local.unflatten(0, views.local.shape[:2])])
            with torch.no_grad():
                teacher = self.teacher.model(whole).unflatten(0, views.whole.shape[:2])
            loss = self.distillation(student, teacher, self.current_epoch)
            self.distillation.update_centre(teacher, self._processes())
            total = total + self.distillation_weight * loss
            self._log_part("self_distillation", loss, batch)
        if self.anchor is not None and self.base is not None:
            with torch.no_grad():
                before = F.normalize(self.base.model(whole[: len(batch)]).float(), dim=-1)
            now = self.model.project_images(features[: len(batch)])
            loss = embedding_anchor(self.anchor, now, before, self.model.logit_scale.detach().exp())
            total = total + self.anchor_weight * loss
            self._log_part("anchor", loss, batch)
        self._log_part("total_loss", total, batch)
        return total

    def embed(self, batch: PairBatch) -> DualEncoderOutput:
        """Embed a batch for training: texts `[B, D]`, and global views `[G * B, D]` of features that are there."""
        assert batch.image_features is not None
        image = self.model.project_images(batch.image_features)
        if batch.text_features is not None:
            text = self.model.project_texts(batch.text_features)
        else:
            assert batch.input_ids is not None and batch.attention_mask is not None
            text = self.model.encode_texts(batch.input_ids, batch.attention_mask)
        return self.model.output(image, text)

    def on_after_backward(self) -> None:
        """Hold the projection's last layer in the first epochs."""
        if self.distillation is not None and self.current_epoch < self.last_layer_held_epochs:
            self.head.hold_last_layer()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step; the teacher follows."""
        super().optimizer_step(*args, **kwargs)
        if self.distillation is not None:
            follow(self.teacher, ImageBranch(self.model.image_encoder, self.head), self._momentum())

    def build_optimizer(self) -> Optimizer:
        """The optimiser of the model, with the projection's weights in groups of their own."""
        optimizer = super().build_optimizer()
        if self.distillation is not None:
            rate = self.learning_rate if self.head_learning_rate is None else self.head_learning_rate
            for group in parameter_groups(self.head, self.weight_decay):
                optimizer.add_param_group({**group, "lr": rate})
        return optimizer

    def _loss(self, output: DualEncoderOutput, batch: PairBatch, processes: dist.ProcessGroup | None = None) -> Tensor:
        """Mean over the views of an image, each contrasted with all texts: the batch is no larger than without."""
        views = torch.chunk(output.image, len(output.image) // max(1, len(batch)) or 1)
        losses = [super(RSMClipTask, self)._loss(output._replace(image=view), batch, processes) for view in views]
        return torch.stack(losses).mean()

    def _momentum(self) -> float:
        if self.teacher_momentum_schedule == "constant":
            return self.teacher_momentum
        progress = min(1.0, self.trainer.global_step / self.schedule.total_steps)
        return 1 - (1 - self.teacher_momentum) * (1 + math.cos(math.pi * progress)) / 2

    def _log_part(self, name: str, loss: Tensor, batch: PairBatch) -> None:
        self.log(f"train/{name}", loss.detach(), batch_size=len(batch), on_step=False, on_epoch=True)


def _check(
    task: AlignmentTask,
    options: dict[str, Any],
    distillation_weight: float,
    teacher_momentum: float,
    anchor: AnchorName | None,
    anchor_weight: float,
) -> None:
    tower = task.model.image_encoder
    if tower.frozen:
        raise ConfigurationError(
            f"image_trainable={tower.trainable!r}: self-distillation teaches the image tower, which is frozen. Choose "
            f"'all' or a number of last blocks, or train with AlignmentTask."
        )
    for name, value in (("distillation_weight", distillation_weight), ("anchor_weight", anchor_weight)):
        if not 0 <= value < math.inf:
            raise ConfigurationError(f"{name}={value}: choose 0 or more, such as 1.")
    if not 0 <= teacher_momentum < 1:
        raise ConfigurationError(f"teacher_momentum={teacher_momentum}: choose 0 to below 1, such as 0.996.")
    if task.micro_batches is not None:
        raise ConfigurationError(
            "micro_batch_size and micro_batch_tokens cut the contrastive batch only, and views take most of the "
            "memory. Leave both out and choose fewer local_views or a smaller data.batch_size."
        )
    if options.get("compile"):
        raise ConfigurationError("compile: views of several sizes pass through the tower by parts. Leave it out.")
    if anchor is not None and options.get("dual_encoder") is None and options.get("model") is None:
        raise ConfigurationError(
            f"anchor={anchor!r} holds embeddings where they were, and single towers begin with untrained heads. Leave "
            f"it out, or start from a dual_encoder."
        )
