"""Which pairs of a batch belong together."""

from __future__ import annotations

from torch import Tensor


def positive_pairs(image_index: Tensor, text_key: Tensor) -> Tensor:
    """Mark image i and text j as positives where they share the image or the words.

    Without this, another caption of the same image, or the same caption of another image, would be pushed away as a
    false negative.

    Args:
        image_index: `[B]` int64, equal for captions of one image.
        text_key: `[B]` int64, equal for captions that say the same.

    Returns:
        `[B, B]` bool, symmetric, True on the diagonal.

    Raises:
        ValueError: if the shapes are not both `[B]`.
    """
    if image_index.ndim != 1 or image_index.shape != text_key.shape:
        raise ValueError(
            f"image_index has shape {tuple(image_index.shape)} and text_key {tuple(text_key.shape)}: both must be [B]."
        )
    return (image_index[:, None] == image_index[None, :]) | (text_key[:, None] == text_key[None, :])
