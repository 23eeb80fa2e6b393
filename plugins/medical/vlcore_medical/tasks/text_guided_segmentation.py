"""Drawing the mask of what a text names, trained on masks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.errors import MissingDependencyError
from vlcore_medical.heads.text_guided_mask import TextGuidedMask
from vlcore_medical.tasks.fit import FitSettings, fit

SETTINGS = FitSettings(epochs=10, batch_size=32, learning_rate=3e-3, weight_decay=0.01)


def fit_text_guided_mask(
    images: Tensor,
    image_of_text: Tensor,
    text: Tensor,
    masks: Tensor,
    settings: FitSettings = SETTINGS,
    *,
    seed: int = 0,
) -> TextGuidedMask:
    """Train a model on N texts about I images: cross-entropy plus MONAI's Dice loss.

    Args:
        images: `[I, C, H, W]` float, of about unit variance.
        image_of_text: `[N]` int64.
        text: `[N, Wt]` text features of about unit variance.
        masks: `[N, H, W]` float, 1 on what the text names.
        settings: how.
        seed: of weights, order and dropout.

    Raises:
        ConfigurationError: if there are no texts, or the images cannot be halved often enough.
        MissingDependencyError: if MONAI is not installed.
    """
    try:
        from monai.losses.dice import DiceLoss
    except ImportError:
        raise MissingDependencyError("monai", "medical", "Training on masks") from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TextGuidedMask(text.shape[1], image_channels=images.shape[1])
    overlap = DiceLoss(sigmoid=True)

    def loss(rows: Tensor) -> Tensor:
        logits, target = model(images[image_of_text[rows]], text[rows]), masks[rows]
        cross_entropy = nn.functional.binary_cross_entropy_with_logits(logits, target)
        value: Tensor = cross_entropy + overlap(logits[:, None], target[:, None])
        return value

    fit(model, loss, len(text), settings, seed=seed)
    return model


@torch.inference_mode()
def draw_masks(model: TextGuidedMask, images: Tensor, text: Tensor, batch_size: int = 64) -> NDArray[np.bool_]:
    """Masks `[N, H, W]` of images `[N, C, H, W]` and text features `[N, Wt]`: what is more probable than not."""
    parts = zip(torch.split(images, batch_size), torch.split(text, batch_size), strict=True)
    drawn: NDArray[np.bool_] = torch.cat([model(*part) > 0 for part in parts]).numpy()
    return drawn
