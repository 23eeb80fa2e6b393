"""Phrases on feature maps, and boxes as a tower sees them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data.transform import apply_preprocess
from vlcore.types import ImagePreprocess
from vlcore_medical.metrics.pointing import point
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.grounding import Phrases, boxes_in_view, fit_phrase_map


def phrases(seed: int) -> Phrases:
    """Maps of 4 x 4 cells, two of which are marked, each by its own sign; a phrase names one of the signs."""
    generator = np.random.default_rng(seed)
    cells = generator.normal(0, 0.3, (60, 16, 5))
    inside = np.zeros((60, 2, 16))
    for number in range(60):
        for sign, place in enumerate(generator.permutation(16)[:2]):
            cells[number, place, sign] += 3
            inside[number, sign, place] = 1
    return Phrases(
        torch.tensor(cells, dtype=torch.float32),
        torch.arange(60).repeat_interleave(2),
        torch.eye(2).repeat(60, 1),
        torch.tensor(inside, dtype=torch.float32).flatten(0, 1),
    )


def test_the_phrase_decides_which_cell_is_hot() -> None:
    head = fit_phrase_map(phrases(0), FitSettings(epochs=20, batch_size=40, learning_rate=2e-2))
    held_out = phrases(1)
    with torch.no_grad():
        heat = head(held_out.cells[held_out.image], held_out.text)
    assert (heat.argmax(1) == held_out.inside.argmax(1)).float().mean() > 0.95


@pytest.mark.parametrize("resize", ["shortest", "squash", "pad"])
@pytest.mark.parametrize("size", [(90, 60), (60, 90)])
def test_boxes_lie_where_the_pixels_went(resize: Literal["shortest", "squash", "pad"], size: tuple[int, int]) -> None:
    preprocess = ImagePreprocess((48, 48), resize, resize_to=56)
    box = (20, 15, 50, 45)
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), box)
    pixels = apply_preprocess(np.asarray(image), preprocess).numpy()[0] > 127
    rows, columns = np.nonzero(pixels)
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 48
    found = boxes_in_view(np.array([box], dtype=float), np.array([size], dtype=float), preprocess)
    assert np.abs(found[0] - seen).max() <= 1.5 / 48


def test_what_lies_outside_is_cut_off() -> None:
    preprocess = ImagePreprocess((10, 10), "shortest", resize_to=10)
    found = boxes_in_view(np.array([[0.0, 0, 30, 10]]), np.array([[30.0, 10]]), preprocess)
    assert found.tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert point(np.ones((1, 2, 2)), found).chance.tolist() == [1.0]
