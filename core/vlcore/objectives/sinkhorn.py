"""Soft assignments with given marginals."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor


@torch.no_grad()
def sinkhorn(
    scores: Tensor,
    epsilon: float = 0.01,
    iterations: int = 3,
    prior: Tensor | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Assign B items to K prototypes: every item wholly, every prototype its share (SwAV, arXiv 2006.09882, eq. 3-5).

    Scaling alternates between prototypes and items, in the logarithm and in float32 or wider, so an `epsilon` of 0.01
    does not overflow. After a few iterations items are assigned exactly and prototypes about: within 1 % after some
    hundred. VLAP's released code scales by the prior without ever measuring the sums it should correct.

    Args:
        scores: `[B, K]` of this process.
        epsilon: the smaller, the harder the assignments.
        iterations: of the scaling.
        prior: `[K]` share of each prototype, adding up to 1, of which some may be 0; uniform if left out.
        process_group: whose items share the prototypes, or None.

    Returns:
        `[B, K]`; rows add up to 1, columns to `prior` times the number of items.

    Raises:
        ValueError: if epsilon or iterations are not positive, or the prior has another shape.
    """
    items, prototypes = scores.shape
    if not epsilon > 0 or iterations < 1:
        raise ValueError(f"epsilon is {epsilon} and iterations {iterations}: both must be positive.")
    if prior is not None and tuple(prior.shape) != (prototypes,):
        raise ValueError(f"prior has shape {tuple(prior.shape)}: give one share per prototype, [{prototypes}].")
    logits = scores.to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    total = torch.tensor(float(items), device=logits.device)
    if process_group is not None:
        dist.all_reduce(total, group=process_group)
    share = logits.new_full((prototypes,), -math.log(prototypes)) if prior is None else prior.to(logits).log()
    wanted = share + total.log()
    for _ in range(iterations):
        sums = _column_log_sums(logits, process_group)
        # A prototype without a share is empty after the first step; -inf - -inf would be NaN.
        logits = logits - sums.masked_fill(sums.isneginf(), 0) + wanted
        logits = logits - logits.logsumexp(dim=1, keepdim=True)
    return logits.exp()


def _column_log_sums(logits: Tensor, process_group: dist.ProcessGroup | None) -> Tensor:
    own = logits.logsumexp(dim=0)
    if process_group is None:
        return own
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size(process_group))]
    dist.all_gather(parts, own, group=process_group)
    return torch.stack(parts).logsumexp(dim=0)
