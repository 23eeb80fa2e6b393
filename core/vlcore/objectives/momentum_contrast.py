"""Image-text contrast against a queue, with soft targets of a momentum model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vlcore.objectives.feature_queue import FeatureQueue
from vlcore.objectives.soft_targets import mixed_targets, soft_cross_entropy


class PairFeatures(NamedTuple):
    """Both sides of B pairs.

    Attributes:
        image: `[B, D]` unit norm.
        text: `[B, D]` unit norm.
        image_index: `[B]` which image.
        text_key: `[B]` which text.
    """

    image: Tensor
    text: Tensor
    image_index: Tensor
    text_key: Tensor


def momentum_contrast(
    image: Tensor,
    text: Tensor,
    momentum: PairFeatures,
    queue: FeatureQueue | None,
    logit_scale: Tensor,
    alpha: float = 0.0,
) -> Tensor:
    """Align images with the momentum model's texts, and texts with its images (ALBEF, arXiv 2107.07651, eq. 2 and 6).

    Candidates are the momentum model's features of the batch and of the queue. With positives P_i of row i (the same
    image or the same words, wherever they stand) and the momentum model's own softmax q_i over the candidates:

        target_i = alpha q_i + (1 - alpha) uniform(P_i);    loss = mean of both directions' cross-entropies

    Where no image and no sentence occurs twice, the uniform part is the paper's one-hot label.

    Args:
        image: `[B, D]` unit norm, with gradient.
        text: `[B, D]` unit norm, with gradient.
        momentum: the same pairs by the momentum model, first the B rows of this process in the same order, then
            perhaps those of others.
        queue: earlier pairs, or None.
        logit_scale: what cosines are multiplied with; ALBEF clamps it to 2 .. 1000.
        alpha: weight of the momentum model's opinion, 0..1.
    """
    images, texts, image_index, text_key = momentum
    real = torch.ones(len(images), dtype=torch.bool, device=images.device)
    if queue is not None:
        images, texts = torch.cat([images, queue.image]), torch.cat([texts, queue.text])
        image_index, text_key = torch.cat([image_index, queue.image_index]), torch.cat([text_key, queue.text_key])
        real = torch.cat([real, queue.filled])
    rows = len(image)
    same = (image_index[:rows, None] == image_index) | (text_key[:rows, None] == text_key)
    labels = (same & real).to(images.dtype)
    labels = labels / labels.sum(dim=1, keepdim=True)
    losses = []
    for side, others, own in ((image, texts, images[:rows]), (text, images, texts[:rows])):
        logits = _masked(logit_scale * side.float() @ others.float().T, real)
        momentum_logits = _masked(logit_scale.detach() * own.float() @ others.float().T, real)
        losses.append(soft_cross_entropy(logits, mixed_targets(labels, momentum_logits, alpha)).mean())
    return (losses[0] + losses[1]) / 2


def _masked(logits: Tensor, real: Tensor) -> Tensor:
    return logits.masked_fill(~real, -torch.inf)
