"""Temperature scaling: one number, fitted on held-out samples, that makes confidence mean what it says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError

_BOUND = 4.0
"""Largest logarithm of a temperature: beyond it held-out samples were all right, or none was, and tell nothing."""


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature T whose softmax of `logits / T` has the least negative log-likelihood.

    Guo et al. 2017 (arXiv 1706.04599), section 4.2. The likelihood is concave in 1/T, so the search ends at its best.

    Args:
        logits: `[N, C]` of samples that the model was not trained on.
        target: `[N]` int64 class numbers.

    Raises:
        ConfigurationError: if there are no samples, or logits are NaN or infinite.
    """
    if not len(logits) or not torch.isfinite(logits).all():
        raise ConfigurationError(
            f"A temperature needs finite logits of held-out samples; got {len(logits)} rows, "
            f"{int((~torch.isfinite(logits)).sum())} values not finite."
        )
    logits = logits.detach().double()
    low, high = -_BOUND, _BOUND
    # Golden-section search over ln T: unimodal, since 1/T grows with -ln T.
    ratio = (5**0.5 - 1) / 2
    while high - low > 1e-6:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _loss(logits, target, left) <= _loss(logits, target, right):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2).exp())


def _loss(logits: Tensor, target: Tensor, log_temperature: float) -> float:
    return float(nn.functional.cross_entropy(logits * torch.tensor(-log_temperature).double().exp(), target))
