"""The text decides which disc is drawn; without it no model can know."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))

from blobs import blobs

from vlcore.errors import MissingDependencyError
from vlcore_medical.metrics.segmentation import dice
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.text_guided_segmentation import draw_masks, fit_text_guided_mask


@pytest.mark.parametrize(("text_on", "least", "most"), [(True, 0.9, 1.0), (False, 0.0, 0.6)])
def test_dice_with_the_text_and_without(text_on: bool, least: float, most: float) -> None:
    words = torch.eye(3) * 2 if text_on else torch.zeros(3, 3)
    images, image_of_text, which, masks = blobs(80, seed=0)
    settings = FitSettings(epochs=8, batch_size=24, learning_rate=5e-3, weight_decay=0.01)
    model = fit_text_guided_mask(images, image_of_text, words[which], masks, settings)
    images, image_of_text, which, masks = blobs(20, seed=1)
    drawn = draw_masks(model, images[image_of_text], words[which])
    assert least <= dice(drawn, masks.numpy() > 0.5).mean() <= most


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.losses.dice", None)
    with pytest.raises(MissingDependencyError, match=r"needs the library .monai.*vlcore\[medical\]"):
        fit_text_guided_mask(torch.zeros(1, 1, 8, 8), torch.zeros(1).long(), torch.zeros(1, 2), torch.zeros(1, 8, 8))
