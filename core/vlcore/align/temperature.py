"""The temperature that makes cosines into honest probabilities, fitted on held-out pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vlcore.align.features import PairedFeatures
from vlcore.heads.base import Head

LARGEST = 100.0
"""CLIP's bound (arXiv 2103.00020, section 2.5)."""


@torch.inference_mode()
def fit_logit_scale(heads: tuple[Head, Head], held_out: PairedFeatures) -> float:
    """Scale of the cosines under which the right image of a held-out text is most likely.

    A closed-form alignment has no temperature of its own. The negative log-likelihood of the images given the
    texts is a convex function of the scale, searched by golden section over the logarithm of 1 to 100.

    Args:
        heads: image and text head.
        held_out: pairs they were not fitted on.
    """
    image, text = (
        nn.functional.normalize(head.eval()(features), dim=-1)
        for head, features in zip(heads, held_out.tensors, strict=True)
    )
    cosines = text @ image.T  # [M, N]
    right = torch.from_numpy(held_out.image_of_text)
    return math.exp(_golden_section(lambda log_scale: _loss(cosines, right, math.exp(log_scale)), math.log(LARGEST)))


def _loss(cosines: Tensor, right: Tensor, scale: float) -> float:
    return float(nn.functional.cross_entropy(scale * cosines, right))


def _golden_section(function: Callable[[float], float], upper: float, steps: int = 30) -> float:
    """Minimum of a unimodal function on [0, upper]."""
    shrink = (math.sqrt(5) - 1) / 2
    low, high = 0.0, upper
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = function(right)
    return (low + high) / 2
