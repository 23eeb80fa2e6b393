"""Finding what a phrase names on the feature map of a frozen tower, trained on boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.types import ImagePreprocess
from vlcore_medical.heads.phrase_map import PhraseMapHead
from vlcore_medical.tasks.fit import FitSettings, fit

SETTINGS = FitSettings(epochs=10, batch_size=64)


@dataclass(frozen=True)
class Phrases:
    """N phrases about I images.

    Attributes:
        cells: `[I, R, W]` cells of the feature maps, row by row.
        image: `[N]` int64, image of each phrase.
        text: `[N, Wt]` features of the phrases.
        inside: `[N, R]` 1 where a cell belongs to what the phrase names.
    """

    cells: Tensor
    image: Tensor
    text: Tensor
    inside: Tensor


def fit_phrase_map(phrases: Phrases, settings: FitSettings = SETTINGS, *, seed: int = 0) -> PhraseMapHead:
    """Train a head on phrases whose places are known.

    Raises:
        ConfigurationError: if there are no phrases.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = PhraseMapHead(phrases.cells.shape[2], phrases.text.shape[1])
    head.fit_statistics(phrases.cells, phrases.text)

    def loss(rows: Tensor) -> Tensor:
        logits = head(phrases.cells[phrases.image[rows]], phrases.text[rows])
        return nn.functional.binary_cross_entropy_with_logits(logits, phrases.inside[rows])

    fit(head, loss, len(phrases.image), settings, seed=seed)
    return head


def boxes_in_view(
    boxes: NDArray[np.float64], sizes: NDArray[np.float64], preprocess: ImagePreprocess
) -> NDArray[np.float64]:
    """Boxes of whole images as boxes of what a tower sees of them, after its resizing, cropping or padding.

    Args:
        boxes: `[N, 4]` left, top, right, bottom in pixels.
        sizes: `[N, 2]` width and height in pixels.
        preprocess: of the tower.

    Returns:
        `[N, 4]` in 0..1 of the tower's input; what lies outside is cut off.
    """
    seen = np.array([preprocess.size[1], preprocess.size[0]], dtype=np.float64)
    if preprocess.resize == "squash":
        scale = seen / sizes
    elif preprocess.resize == "shortest":
        scale = preprocess.resize_to / sizes.min(axis=1, keepdims=True)
    else:
        scale = (seen / sizes).min(axis=1, keepdims=True)
    # Cropping and padding are both centred.
    margin = (sizes * scale - seen) / 2
    corners = boxes.reshape(-1, 2, 2)
    found: NDArray[np.float64] = (corners * np.broadcast_to(scale, sizes.shape)[:, None] - margin[:, None]) / seen
    return found.clip(0, 1).reshape(-1, 4)
