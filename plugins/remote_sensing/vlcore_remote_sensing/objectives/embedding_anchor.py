"""What holds image embeddings near those of the model that training started from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

AnchorName = Literal["squared_distance", "similarity_divergence"]
"""By the distance of each embedding, or by which images are similar to which."""


def embedding_anchor(name: AnchorName, embeddings: Tensor, base: Tensor, scale: float | Tensor) -> Tensor:
    """Distance of embeddings from those of a frozen base, so that what the base knew is not forgotten.

    `squared_distance` is the mean of `|z - z0|^2` (L2 to the base, as in feature distillation). It fixes the embedding
    itself, and with it the fit to texts of the base. `similarity_divergence` is the mean Kullback-Leibler divergence of
    softmax(scale * z_i . z_j) from softmax(scale * z0_i . z0_j) over the other images j of the batch (learning without
    forgetting, arXiv 1606.09282, with images in place of classes); it lets the space turn as a whole.

    Args:
        name: which of the two.
        embeddings: `[B, D]` unit norm.
        base: `[B, D]` unit norm; no gradient goes to it.
        scale: of the cosines, for the second.

    Returns:
        A scalar, 0 where both agree; the second is 0 for fewer than three images.
    """
    base = base.detach()
    if name == "squared_distance":
        return (embeddings - base).square().sum(dim=1).mean()
    count = len(embeddings)
    if count < 3:
        # Of one other image there is only one distribution.
        return embeddings.sum() * 0
    with torch.autocast(embeddings.device.type, enabled=False):
        now, then = (_others(scale * side @ side.T).log_softmax(dim=1) for side in (embeddings, base))
    return (then.exp() * (then - now)).sum(dim=1).mean()


def _others(similarities: Tensor) -> Tensor:
    """`[B, B]` without its diagonal, `[B, B - 1]`: an image is most similar to itself whatever the model."""
    count = len(similarities)
    return similarities.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
