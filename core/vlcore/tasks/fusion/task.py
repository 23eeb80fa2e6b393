"""Pretraining of a fusion encoder with any mix of objectives."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.models.fusion.model import FusionModel
from vlcore.models.fusion.network import Architecture
from vlcore.models.momentum import MomentumModel
from vlcore.objectives.feature_queue import FeatureQueue
from vlcore.objectives.patch_clusters import PatchClusters
from vlcore.tasks.fusion.build import Size, TextMaskName, build_fusion_model, build_text_masking, load_fusion_model
from vlcore.tasks.fusion.monitor import MatchingMonitor
from vlcore.tasks.fusion.step import FusionStep, Teacher
from vlcore.tasks.fusion.terms import TERMS, Hiding, RegionMasking, TermName
from vlcore.tasks.gather import gather_rows
from vlcore.tasks.retrieval_monitor import RetrievalMonitor
from vlcore.tasks.schedule import ScheduleName, WarmupSchedule
from vlcore.tasks.training_task import TrainingTask
from vlcore.types import PairBatch, Trainable, VisualTokens

_CLASS_TERMS = ("masked_region_classes", "masked_region_distribution")
_WITH_MATCHING: TermName = "word_region_alignment"
"""Needs the same pairs as matching, so it is never drawn alone."""
_CLUSTER_PATCHES = 100_000
"""Most patches that clusters are fitted on."""


class FusionTask(TrainingTask):
    """Trains an encoder that reads images and texts together: ALBEF, UNITER, InterBERT, or a recipe of one's own.

    Words and regions are never hidden at once: each term hides one side and leaves the other whole.

    Logged: `train/loss`, and `train/<term>` of every objective; `val/mean_recall`, per cent: of the two sides alone
    where they are aligned (`contrastive`), else of the matching head over the first 64 validation images with one
    caption each; with both, the matching head's as `val/matching_recall`.

    Args:
        architecture: `cross_stream` (ALBEF), `single_stream` (UNITER), or `split_stream` (InterBERT).
        objectives: weight of each term: `contrastive`, `matching`, `masked_language`, `masked_region_features`,
            `masked_region_classes`, `masked_region_distribution`, `word_region_alignment`.
        combine: `sum` all terms in every step, or `sample` one, with probabilities in proportion to the weights; then
            every term counts alike where it is drawn, and in several processes DDP needs find_unused_parameters.
            `word_region_alignment` is not drawn: it is added to matching, with its weight.
        image_encoder: name of an image tower with tokens; left out, images come as precomputed regions.
        text_encoder: name of a text tower of BERT's family: its tokeniser, and for `pretrained` its weights.
        size: `pretrained` takes sizes and weights of the text tower; `tiny`, `small` and `base` begin at random.
        layers: in place of the size's own number; of a pretrained tower the first ones.
        dropout: in place of the text tower's own.
        image_trainable: which part of the image tower learns: `none`, `all`, or its last N blocks.
        region_width: numbers per precomputed region.
        region_classes: classes of a detector, without the background.
        patch_clusters: where no detector gave classes, the number of clusters of patches that stand in for them.
        embedding_size: of the space that `contrastive` aligns the two sides in.
        text_masking: hide single word pieces (`token`), `whole_word`, or a `span`.
        region_masking: hide `each` region by itself, or with those that overlap it (`overlapping`).
        momentum: share of the old weights that the momentum model keeps in a step; None trains without one.
        queue_size: pairs that the momentum model's features are kept of, as further negatives; 0 keeps none.
        distillation: weight of the momentum model's opinion (ALBEF's alpha), reached over the first epoch.
        learning_rate: peak.
        weight_decay: of matrices.
        betas: of AdamW.
        schedule: `cosine` to zero, `constant`, or `uba`.
        warmup: optimiser steps if a whole number, share of the run if a fraction.
        seed: of the drawing of terms.
        start_from: model directory of an earlier run to go on from, in place of all names of towers and sizes; such as
            for the fine-tuning of retrieval with `contrastive` and `matching` alone.
        model: an already built model, instead of all names above it; for use from Python.

    Raises:
        ConfigurationError: if the names do not make a model, or an objective lacks what it needs.
        UnknownNameError: if a name is unknown.
    """

    accumulation_warning = (
        "accumulate_grad_batches={batches}: negatives come from one micro-batch (and the queue) at a time, and "
        "gradients of {batches} losses are averaged. For more negatives raise data.batch_size or model.queue_size."
    )

    def __init__(
        self,
        architecture: Architecture = "cross_stream",
        objectives: dict[TermName, float] | None = None,
        combine: Literal["sum", "sample"] = "sum",
        image_encoder: str | None = None,
        text_encoder: str = "starter/minilm",
        size: Size = "pretrained",
        layers: int | None = None,
        dropout: float | None = None,
        image_trainable: Trainable = "none",
        region_width: int | None = None,
        region_classes: int | None = None,
        patch_clusters: int | None = None,
        embedding_size: int = 256,
        text_masking: TextMaskName = "token",
        region_masking: RegionMasking = "each",
        momentum: float | None = None,
        queue_size: int = 0,
        distillation: float = 0.0,
        learning_rate: float = 1e-4,
        weight_decay: float = 0.02,
        betas: tuple[float, float] = (0.9, 0.98),
        schedule: ScheduleName = "cosine",
        warmup: int | float = 0.05,
        seed: int = 0,
        start_from: str | None = None,
        model: FusionModel | None = None,
    ) -> None:
        weights: dict[TermName, float] = objectives or {"contrastive": 1.0, "matching": 1.0, "masked_language": 1.0}
        _check_objectives(weights, momentum, queue_size, distillation)
        classes = _region_classes(weights, region_classes, patch_clusters)
        if start_from is not None and model is None:
            model = load_fusion_model(start_from, weights, classes, image_trainable)
        elif model is None:
            model = build_fusion_model(
                architecture,
                image_encoder,
                text_encoder,
                size=size,
                layers=layers,
                dropout=dropout,
                image_trainable=image_trainable,
                region_width=region_width,
                region_classes=classes,
                embedding_size=embedding_size if "contrastive" in weights else None,
            )
        super().__init__(model, learning_rate, weight_decay, betas, WarmupSchedule(schedule, warmup))
        self.save_hyperparameters(ignore=["model"])
        self.model: FusionModel
        self.objectives = weights
        self.combine = combine
        self.distillation = distillation
        self.seed = seed
        network = model.network
        self.text_masking = build_text_masking(text_masking, model, model.text_encoder.source)
        self.region_masking: RegionMasking = region_masking
        self.clusters = None if patch_clusters is None else PatchClusters(patch_clusters, network.stream.in_features)
        _let_learn(model, weights)
        self.momentum = None if momentum is None else MomentumModel(network, momentum)
        tower = model.image_encoder
        learns = momentum is not None and tower is not None and not tower.frozen
        self.momentum_tower = MomentumModel(tower, momentum) if learns and tower is not None and momentum else None
        self.queue = FeatureQueue(queue_size, network.embedding_size) if queue_size and network.embedding_size else None
        self._retrieval = RetrievalMonitor()
        self._matching = MatchingMonitor()

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        visual = self._visual(batch)
        step = FusionStep(self.model.network, batch, visual, self._teacher(batch, visual))
        processes = dist.group.WORLD if self.trainer.world_size > 1 else None
        hiding = Hiding(self.text_masking, self.region_masking, self.clusters, processes)
        total = torch.zeros((), device=self.device)
        for name, weight in self._chosen().items():
            loss = TERMS[name](step, hiding)
            self.log(f"train/{name}", loss.detach(), batch_size=len(batch), on_step=False, on_epoch=True)
            total = total + weight * loss
        self.log("train/loss", total.detach(), batch_size=len(batch), on_step=False, on_epoch=True, prog_bar=True)
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step; the momentum model follows."""
        super().optimizer_step(*args, **kwargs)
        if self.momentum is not None:
            self.momentum.update(self.model.network)
        if self.momentum_tower is not None and self.model.image_encoder is not None:
            self.momentum_tower.update(self.model.image_encoder)

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Read both sides of a batch; they are ranked at the end of the epoch."""
        self._evaluate(batch)

    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        """As `validation_step`, on test pairs."""
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("val")

    def on_test_epoch_end(self) -> None:
        """Log the mean recall."""
        self._log_recall("test")

    @property
    def needs_feature_statistics(self) -> bool:
        """True where clusters of patches are still to be found."""
        return self.clusters is not None and not bool(self.clusters.fitted)

    def set_feature_statistics(self, image: NDArray[np.float32], text: NDArray[np.float32]) -> None:
        """Find clusters of patches in the tokens `[N, R * W]` of training images."""
        if self.clusters is None or self.model.image_encoder is None:
            return
        patches = torch.from_numpy(image).view(-1, self.model.image_encoder.token_width)
        chosen = torch.randperm(len(patches), generator=torch.Generator().manual_seed(self.seed))[:_CLUSTER_PATCHES]
        self.clusters.fit(patches[chosen], seed=self.seed)

    def text_features(self, texts: list[str]) -> Tensor:
        """Nothing: the texts of a fusion model are read anew in every step."""
        return torch.zeros(len(texts), 1)

    def _chosen(self) -> dict[TermName, float]:
        """Terms of this step with their weights; the same in all processes."""
        if self.combine == "sum":
            return self.objectives
        drawn = {name: weight for name, weight in self.objectives.items() if name != _WITH_MATCHING}
        names, shares = list(drawn), np.array(list(drawn.values()))
        random = np.random.default_rng([self.seed, self.trainer.current_epoch, self.trainer.fit_loop.batch_idx])
        name = names[int(random.choice(len(names), p=shares / shares.sum()))]
        if name == "matching" and _WITH_MATCHING in self.objectives:
            return {name: 1.0, _WITH_MATCHING: self.objectives[_WITH_MATCHING]}
        return {name: 1.0}

    def _visual(self, batch: PairBatch) -> VisualTokens:
        visual = self.model.visual_tokens(batch)
        needs = [name for name in _CLASS_TERMS if name in self.objectives]
        if needs and self.clusters is None and visual.class_probabilities is None:
            raise ConfigurationError(
                f"The objective {needs[0]} needs the classes of a detector, and the regions have none: add "
                f"class_probabilities to their files, or set model.patch_clusters."
            )
        return visual

    def _teacher(self, batch: PairBatch, visual: VisualTokens) -> Teacher | None:
        if self.momentum is None:
            return None
        if self.momentum_tower is not None and batch.images is not None:
            with torch.no_grad():
                tower = self.momentum_tower.model
                visual = tower.unflatten(tower(batch.images).pooled)
        return Teacher(self.momentum.model, visual, self._alpha(), self.queue, self._gather)

    def _alpha(self) -> float:
        """Weight of the momentum model's opinion: it grows from 0 over the first epoch."""
        if self.trainer.current_epoch > 0:
            return self.distillation
        return self.distillation * self.trainer.fit_loop.batch_idx / max(1, float(self.trainer.num_training_batches))

    def _gather(self, rows: Tensor) -> Tensor:
        """Rows of all processes, this one's first; while training all have equally many."""
        return gather_rows(self, rows).roll(-self.trainer.global_rank * len(rows), 0)

    def _evaluate(self, batch: PairBatch) -> None:
        network = self.model.network
        assert batch.input_ids is not None and batch.attention_mask is not None
        text = network.stream.read_text(batch.input_ids, batch.attention_mask)
        image = self.model.read_images(batch)
        if network.embedding_size is not None:
            self._retrieval.add(network.embed_image(image), network.embed_text(text), batch.image_index)
        if "matching" in self.objectives:
            self._matching.add(text, image, batch.image_index)

    def _log_recall(self, stage: str) -> None:
        aligned = self._retrieval.compute(self)
        if aligned is not None:
            self.log(f"{stage}/mean_recall", aligned.mean_recall, prog_bar=True, rank_zero_only=False)
        matched = self._matching.compute(self.model.network)
        if matched is not None:
            name = "mean_recall" if aligned is None else "matching_recall"
            self.log(f"{stage}/{name}", matched.mean_recall, prog_bar=True, sync_dist=True)


def _check_objectives(
    weights: dict[TermName, float], momentum: float | None, queue_size: int, distillation: float
) -> None:
    if wrong := [name for name in weights if name not in TERMS]:
        raise ConfigurationError(f"objectives: there is no {wrong[0]!r}; there are {', '.join(TERMS)}.")
    if bad := [name for name, weight in weights.items() if not 0 < weight < float("inf")]:
        raise ConfigurationError(f"objectives: {bad[0]} has the weight {weights[bad[0]]}; leave it out to have none.")
    if momentum is not None and not 0 <= momentum < 1:
        raise ConfigurationError(f"momentum={momentum}: choose 0 to below 1, such as 0.995, or leave it out.")
    if not 0 <= distillation <= 1:
        raise ConfigurationError(f"distillation={distillation}: choose 0 to 1, such as 0.4.")
    if momentum is None and (queue_size or distillation):
        raise ConfigurationError(
            f"queue_size={queue_size} and distillation={distillation} are the momentum model's: set momentum, such as "
            f"0.995, or leave both out."
        )
    if _WITH_MATCHING in weights and "matching" not in weights:
        raise ConfigurationError(f"The objective {_WITH_MATCHING} compares the pairs of matching: add matching.")
    if queue_size and "contrastive" not in weights:
        raise ConfigurationError(f"queue_size={queue_size}: only the objective contrastive reads it; leave it out.")
    if not {"contrastive", "matching"} & weights.keys():
        raise ConfigurationError(
            f"objectives: {', '.join(weights)} do not say which image belongs to which text, so nothing could be "
            f"validated. Add matching or contrastive."
        )


def _region_classes(
    weights: dict[TermName, float], region_classes: int | None, patch_clusters: int | None
) -> int | None:
    needs = [name for name in _CLASS_TERMS if name in weights]
    if region_classes is not None and patch_clusters is not None:
        raise ConfigurationError("region_classes are a detector's and patch_clusters stand in for them: give one.")
    classes = patch_clusters if region_classes is None else region_classes
    if needs and classes is None:
        raise ConfigurationError(
            f"The objective {needs[0]} guesses classes: say how many a detector has (region_classes, such as 1600), or "
            f"how many clusters of patches stand in for them (patch_clusters, such as 256)."
        )
    return classes if needs else None


def _let_learn(model: FusionModel, weights: dict[TermName, float]) -> None:
    """Heads of objectives that are not there stay as they are."""
    network = model.network
    heads = {
        "matching": network.matching,
        "masked_language": network.masked_language,
        "masked_region_features": network.region_features,
    }
    for name, head in heads.items():
        head.requires_grad_(name in weights)
    network.logit_scale.requires_grad_("contrastive" in weights)
    network.stream.visual_embedding.masked.requires_grad_(any(name.startswith("masked_region") for name in weights))
