"""The terms of a pretraining loss, by name: each hides or pairs what it needs, and calls its objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from vlcore.objectives.image_text_matching import image_text_matching
from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.masked_language_modeling import hidden_rows, masked_language_loss
from vlcore.objectives.masked_region_classification import masked_region_classification
from vlcore.objectives.masked_region_regression import masked_region_regression
from vlcore.objectives.momentum_contrast import momentum_contrast
from vlcore.objectives.patch_clusters import PatchClusters
from vlcore.objectives.region_masking import mask_overlapping_regions, mask_regions
from vlcore.objectives.text_masking import TextMasking
from vlcore.objectives.word_region_alignment import word_region_alignment, word_region_transport
from vlcore.tasks.fusion.step import FusionStep

TermName = Literal[
    "contrastive",
    "matching",
    "masked_language",
    "masked_region_features",
    "masked_region_classes",
    "masked_region_distribution",
    "word_region_alignment",
]
RegionMasking = Literal["each", "overlapping"]


@dataclass(frozen=True)
class Hiding:
    """How words and regions are hidden.

    Attributes:
        words: hides them.
        regions: `each` by itself, or with what overlaps it.
        clusters: classes of patches where no detector gave any, or None.
        processes: whose pairs make up a batch; None where there is one.
    """

    words: TextMasking
    regions: RegionMasking = "each"
    clusters: PatchClusters | None = None
    processes: dist.ProcessGroup | None = None


def contrastive(step: FusionStep, hiding: Hiding) -> Tensor:
    """Images and texts alone are aligned, against the momentum model's where there is one."""
    image, text = step.embeddings
    scale = step.network.logit_scale.exp().squeeze(0)
    teacher = step.teacher
    if teacher is None:
        loss: Tensor = InfoNCE()(
            image,
            text,
            scale,
            image_index=step.batch.image_index,
            text_key=step.batch.text_key,
            process_group=hiding.processes,
        )
        return loss
    loss = momentum_contrast(image, text, step.teacher_features, teacher.queue, scale, teacher.alpha)
    if teacher.queue is not None:
        teacher.queue.put(*step.teacher_features)
    return loss


def matching(step: FusionStep, hiding: Hiding) -> Tensor:
    """The model tells the pairs of the batch from hard negatives."""
    pairs = step.pairs
    return image_text_matching(step.network.matching(pairs.output.pair), pairs.matches)


def masked_language(step: FusionStep, hiding: Hiding) -> Tensor:
    """Hidden words are guessed from the rest of the text and the whole image."""
    masked = hiding.words(step.input_ids, step.attention_mask)
    stream = step.network.stream
    output = stream.fuse(stream.read_text(masked.input_ids, step.attention_mask), step.image)
    states, words = hidden_rows(output.text, masked.labels)
    logits, teacher = step.network.guess_words(states), step.teacher
    if teacher is None or teacher.alpha == 0:
        return masked_language_loss(logits, words)
    with torch.no_grad():
        other = teacher.network.stream
        seen = other.fuse(other.read_text(masked.input_ids, step.attention_mask), other.read_image(teacher.visual))
        opinion = teacher.network.guess_words(hidden_rows(seen.text, masked.labels)[0])
    return masked_language_loss(logits, words, opinion, teacher.alpha)


def masked_region_features(step: FusionStep, hiding: Hiding) -> Tensor:
    """Features of hidden regions are guessed from the other regions and the whole text."""
    states, hidden = _hidden_regions(step, hiding)
    return masked_region_regression(step.network.guess_regions(states), step.visual.features[hidden])


def masked_region_classes(step: FusionStep, hiding: Hiding) -> Tensor:
    """Classes of hidden regions are guessed."""
    return _region_classes(step, hiding, "class")


def masked_region_distribution(step: FusionStep, hiding: Hiding) -> Tensor:
    """Class probabilities of hidden regions are guessed."""
    return _region_classes(step, hiding, "distribution")


def word_region(step: FusionStep, hiding: Hiding) -> Tensor:
    """Words of a text find their regions in its own image, and not in others."""
    pairs = step.pairs
    transport = word_region_transport(pairs.output.text, pairs.text_mask, pairs.output.image, pairs.image_mask)
    return word_region_alignment(transport.cost, pairs.matches)


TERMS: Mapping[TermName, Callable[[FusionStep, Hiding], Tensor]] = {
    "contrastive": contrastive,
    "matching": matching,
    "masked_language": masked_language,
    "masked_region_features": masked_region_features,
    "masked_region_classes": masked_region_classes,
    "masked_region_distribution": masked_region_distribution,
    "word_region_alignment": word_region,
}


def _region_classes(step: FusionStep, hiding: Hiding, target: Literal["class", "distribution"]) -> Tensor:
    states, hidden = _hidden_regions(step, hiding)
    if hiding.clusters is not None:
        wanted = hiding.clusters.probabilities(step.visual.features[hidden])
    else:
        assert step.visual.class_probabilities is not None, "checked by the task"
        wanted = step.visual.class_probabilities[hidden]
    assert step.network.region_classes is not None, "built by the task"
    return masked_region_classification(step.network.region_classes(states), wanted, target)


def _hidden_regions(step: FusionStep, hiding: Hiding) -> tuple[Tensor, Tensor]:
    """States `[N, D]` of hidden regions of the pairs that belong together, and which they are `[B, R]`."""
    visual, stream = step.visual, step.network.stream
    if hiding.regions == "overlapping" and visual.boxes is not None:
        hidden = mask_overlapping_regions(visual.mask, visual.boxes)
    else:
        hidden = mask_regions(visual.mask)
    output = stream.fuse(step.text, stream.read_image(visual, hidden))
    return output.image[hidden], hidden
