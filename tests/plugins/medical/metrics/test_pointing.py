"""The pointing game on grids."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import EvaluationError
from vlcore_medical.metrics.pointing import cells_inside, point


def test_the_centre_of_the_hottest_cell_counts_and_ties_share() -> None:
    heat = np.zeros((3, 2, 4))
    heat[0, 0, 3] = 1  # centre (0.875, 0.25)
    heat[1, 0, [0, 3]] = 1
    boxes = np.array([[0.5, 0.0, 1.0, 0.5]] * 3)
    found = point(heat, boxes)
    assert found.hit.tolist() == [1.0, 0.5, 0.25]
    assert found.chance.tolist() == [0.25] * 3


def test_cells_equal_a_loop_over_centres() -> None:
    boxes = np.sort(np.random.default_rng(0).random((20, 2, 2)), axis=1).reshape(20, 4)
    inside = cells_inside(boxes, 5, 7)
    for number, (left, top, right, bottom) in enumerate(boxes):
        for row in range(5):
            for column in range(7):
                across, down = (column + 0.5) / 7, (row + 0.5) / 5
                assert inside[number, row, column] == (left <= across <= right and top <= down <= bottom)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(EvaluationError, match=r"Heat \(2, 3, 3\) and boxes \(1, 4\) do not fit"):
        point(np.zeros((2, 3, 3)), np.zeros((1, 4)))
    with pytest.raises(EvaluationError, match="1 heat maps hold NaN"):
        point(np.stack([np.zeros((3, 3)), np.full((3, 3), np.nan)]), np.zeros((2, 4)))
