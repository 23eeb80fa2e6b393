"""Classes of hidden regions are to be guessed."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def masked_region_classification(
    logits: Tensor, class_probabilities: Tensor, target: Literal["class", "distribution"] = "distribution"
) -> Tensor:
    """Guess what a detector saw in the hidden regions (UNITER's MRC and MRC-kl, arXiv 1909.11740, section 3.2).

    Args:
        logits: `[N, K]` of the hidden regions; without a background class.
        class_probabilities: `[N, K]` of the detector, or `[N, K + 1]` with the background last, which is left out.
        target: the most probable `class`, by cross-entropy; or the `distribution`, by the Kullback-Leibler divergence,
            which is 0 where the two agree.

    Returns:
        Scalar; 0 with gradient 0 if nothing is hidden.

    Raises:
        ValueError: if the numbers of classes do not fit.
    """
    classes = logits.shape[1]
    if class_probabilities.shape[1] not in (classes, classes + 1):
        raise ValueError(
            f"logits are of {classes} classes and class_probabilities of {class_probabilities.shape[1]}: expected "
            f"{classes}, or {classes + 1} with the background last."
        )
    if not len(logits):
        return logits.sum() * 0.0
    wanted = class_probabilities[:, :classes].float()
    if target == "class":
        return torch.nn.functional.cross_entropy(logits.float(), wanted.argmax(dim=1))
    wanted = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return torch.nn.functional.kl_div(torch.log_softmax(logits.float(), dim=1), wanted, reduction="batchmean")
