"""The weights between two models of one architecture."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from vlcore.errors import ConfigurationError
from vlcore.models.dual_encoder import DualEncoder


def interpolate_weights(base: DualEncoder, tuned: DualEncoder, alpha: float) -> DualEncoder:
    """A model whose weights are `(1 - alpha) base + alpha tuned` (WiSE-FT, arXiv 2109.01903, eq. 1).

    What a model learned in tuning and what it forgot lie in the same direction of the weights; part of the way often
    keeps most of both. Whole numbers, such as counts of batch norms, are taken from the nearer model.

    Args:
        base: that training started from.
        tuned: that it ended with.
        alpha: 0 is the base, 1 the tuned model, bit for bit.

    Returns:
        A new model in evaluation mode; the two are not changed.

    Raises:
        ConfigurationError: if alpha is not from 0 to 1, or the models are not of one architecture.
    """
    if not 0 <= alpha <= 1:
        raise ConfigurationError(f"alpha={alpha}: choose 0 (the base) to 1 (the tuned model).")
    _check_same(base, tuned)
    between = copy.deepcopy(base if alpha < 0.5 else tuned).eval()
    if alpha not in (0, 1):
        ends = base.state_dict(), tuned.state_dict()
        for name, weight in between.state_dict().items():
            if weight.is_floating_point():
                first, second = (end[name].to(weight.device) for end in ends)
                weight.copy_(torch.lerp(first.double(), second.double(), alpha))
    return between


def _check_same(base: DualEncoder, tuned: DualEncoder) -> None:
    for part in ("image_encoder", "text_encoder"):
        ours, theirs = (getattr(model, part).identity() for model in (base, tuned))
        if ours != theirs:
            raise ConfigurationError(
                f"The {part.replace('_', ' ')}s of the two models differ in {_difference(ours, theirs)}, so nothing "
                f"lies between them. Give the model that training started from, and the one it ended with."
            )
    first, second = base.state_dict(), tuned.state_dict()
    for name in sorted(first.keys() | second.keys()):
        shapes = [tuple(state[name].shape) if name in state else None for state in (first, second)]
        if shapes[0] != shapes[1]:
            raise ConfigurationError(
                f"The weight {name!r} has the shape {shapes[0]} in the base and {shapes[1]} in the tuned model, so "
                f"nothing lies between them. Give the model that training started from, with heads of the same kind."
            )


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    key = next(key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key))
    return f"{key}: {ours.get(key)!r:.80} and {theirs.get(key)!r:.80}"
