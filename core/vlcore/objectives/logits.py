"""Scaled cosine logits in full precision, with their shapes checked: the part that contrastive losses share."""

from __future__ import annotations

import torch
from torch import Tensor


def pair_logits(
    image: Tensor, text: Tensor, logit_scale: Tensor | float, logit_bias: Tensor | float | None = None
) -> Tensor:
    """Logits `[B, B]` of every image (rows) with every text (columns).

    Computed in float32 even under autocast: bfloat16 has three digits, and a scale of 100 turns their error into
    whole units of the logit. Double precision stays double.

    Args:
        image: `[B, D]` unit norm.
        text: `[B, D]` unit norm.
        logit_scale: scalar, already exponentiated.
        logit_bias: scalar added to every logit, or None.

    Raises:
        ValueError: if the embeddings are not both `[B, D]` with B and D above 0, or the scale or bias is no scalar.
    """
    if image.ndim != 2 or image.shape != text.shape or 0 in image.shape:
        raise ValueError(
            f"image has shape {tuple(image.shape)} and text {tuple(text.shape)}: both must be the same [B, D] with at "
            f"least one pair."
        )
    for name, value in (("logit_scale", logit_scale), ("logit_bias", logit_bias)):
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"{name} has shape {tuple(value.shape)}: pass a scalar.")
    with torch.autocast(device_type=image.device.type, enabled=False):
        logits = _full(image) @ _full(text).T * _full(logit_scale)
        return logits if logit_bias is None else logits + _full(logit_bias)


def check_positives(positives: Tensor | None, pairs: int) -> None:
    """Refuse a mask that is not `[B, B]` bool.

    Raises:
        ValueError: with what was found.
    """
    if positives is None:
        return
    if positives.dtype != torch.bool or tuple(positives.shape) != (pairs, pairs):
        raise ValueError(
            f"positives is {positives.dtype} of shape {tuple(positives.shape)}: expected bool [{pairs}, {pairs}], as "
            f"positive_pairs returns."
        )


def _full(value: Tensor | float) -> Tensor:
    if not isinstance(value, Tensor):
        return torch.tensor(value)
    value = value.reshape(()) if value.numel() == 1 and value.ndim < 2 else value
    return value if value.dtype == torch.float64 else value.float()
