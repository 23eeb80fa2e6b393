"""What contrastive losses check before they compute: shapes, keys and scalars."""

from __future__ import annotations

import torch
from torch import Tensor


def compute_dtype(image: Tensor, text: Tensor) -> torch.dtype:
    """Type that logits are computed in: float32 for half precision too, float64 where an input has it.

    Also under autocast: bfloat16 has three digits, and a scale of 100 turns their error into whole units of the logit.
    """
    return torch.float64 if torch.float64 in (image.dtype, text.dtype) else torch.float32


def check_embeddings(image: Tensor, text: Tensor, *, may_be_empty: bool) -> None:
    """Refuse embeddings that are not pairs.

    Raises:
        ValueError: if they are not both `[B, D]` with D above 0, and B too unless other processes may bring rows, or
            not of a floating type.
    """
    if not (image.is_floating_point() and text.is_floating_point()):
        raise ValueError(f"image is {image.dtype} and text {text.dtype}: embeddings are floating point numbers.")
    if image.ndim != 2 or image.shape != text.shape or image.shape[1] == 0 or not (len(image) or may_be_empty):
        raise ValueError(
            f"image has shape {tuple(image.shape)} and text {tuple(text.shape)}: both must be the same [B, D] with at "
            f"least one pair."
        )


def check_key(name: str, key: Tensor | None, pairs: int) -> None:
    """Refuse a key that is not `[B]` int64.

    Raises:
        ValueError: with what was found.
    """
    if key is not None and (key.dtype != torch.int64 or tuple(key.shape) != (pairs,)):
        raise ValueError(
            f"{name} is {key.dtype} of shape {tuple(key.shape)}: expected one int64 number per pair, [{pairs}]."
        )


def as_scalar(name: str, value: Tensor | float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Tensor of shape `[]`, which keeps its gradient.

    Raises:
        ValueError: if it is a tensor with more or fewer than one element.
    """
    if not isinstance(value, Tensor):
        return torch.tensor(value, dtype=dtype, device=device)
    if value.numel() != 1:
        raise ValueError(f"{name} has shape {tuple(value.shape)}: pass a scalar.")
    return value.reshape(())
