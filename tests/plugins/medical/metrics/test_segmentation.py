"""Dice with its policy for empty masks, and the distance of outlines with spacing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from vlcore.errors import ConfigurationError, EvaluationError, MissingDependencyError
from vlcore_medical.metrics.segmentation import dice, outline_distance


def test_dice_equals_sets_of_pixels() -> None:
    generator = np.random.default_rng(0)
    predicted, reference = generator.random((2, 10, 6, 5)) < 0.4
    for value, one, other in zip(dice(predicted, reference), predicted, reference, strict=True):
        drawn, meant = (set(map(tuple, np.argwhere(mask))) for mask in (one, other))
        assert value == pytest.approx(2 * len(drawn & meant) / (len(drawn) + len(meant)))


def test_empty_references_follow_the_policy() -> None:
    reference = np.zeros((3, 2, 2), dtype=bool)
    reference[2, 0, 0] = True
    predicted = np.zeros_like(reference)
    predicted[1, 0, 0] = True
    assert dice(predicted, reference).tolist() == [1.0, 0.0, 0.0]
    assert np.array_equal(dice(predicted, reference, "skip"), [np.nan, np.nan, 0.0], equal_nan=True)


def test_the_distance_of_outlines_knows_the_spacing() -> None:
    masks = np.zeros((2, 1, 16, 16), dtype=bool)
    masks[0, 0, 3:9, 2:8] = True
    masks[1, 0, 5:12, 4:11] = True
    spacing = (2.0, 0.5)
    outlines = [np.argwhere(mask[0] & ~binary_erosion(mask[0])) * spacing for mask in masks]
    table = cdist(*outlines)
    expected = max(np.percentile(table.min(axis=side), 95) for side in (0, 1))
    assert outline_distance(masks[0], masks[1], spacing)[0] == pytest.approx(expected, rel=1e-4)


def test_the_distance_of_empty_masks_is_infinite_unless_both_are() -> None:
    masks = np.zeros((2, 3, 4, 4), dtype=bool)
    masks[0, 1, 1:3, 1:3] = masks[:, 2, 1:3, 1:3] = True
    assert outline_distance(masks[0], masks[1], (1, 1)).tolist() == [0.0, np.inf, 0.0]


def test_what_cannot_be_scored_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = np.ones((1, 4, 4), dtype=bool)
    with pytest.raises(EvaluationError, match=r"shapes \(1, 4, 4\) and \(1, 4, 3\) cannot be compared"):
        dice(masks, masks[:, :, :3])
    with pytest.raises(ConfigurationError, match="empty='zero': choose 'one' or 'skip'"):
        dice(masks, masks, "zero")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"spacing=\[1\]: give 2 positive sizes"):
        outline_distance(masks, masks, [1])
    monkeypatch.setitem(sys.modules, "monai.metrics.hausdorff_distance", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vlcore\[medical\]"'):
        outline_distance(masks, masks, (1, 1))
