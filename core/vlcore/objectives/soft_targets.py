"""Cross-entropy to a mixture of labels and what a momentum model says."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of every row, `[N]`.

    Args:
        logits: `[N, K]`; where one is -inf its target has to be 0.
        targets: `[N, K]` probabilities.
    """
    log_probability = torch.log_softmax(logits, dim=1)
    return -(targets * log_probability.masked_fill(targets == 0, 0.0)).sum(dim=1)


def mixed_targets(labels: Tensor, momentum_logits: Tensor, alpha: float) -> Tensor:
    """Targets of momentum distillation (ALBEF, arXiv 2107.07651, section 3.3): `alpha` softmax + (1 - `alpha`) labels.

    Args:
        labels: `[N, K]` probabilities.
        momentum_logits: `[N, K]`; without gradient.
        alpha: weight of the momentum model, 0..1.
    """
    if alpha == 0:
        return labels
    return alpha * torch.softmax(momentum_logits.detach(), dim=1) + (1 - alpha) * labels
