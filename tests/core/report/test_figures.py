"""Figures hold what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.report import figures


def test_recall_bars_are_the_scores(result):
    retrieval = result["retrieval"]
    axes = figures.recall_figure(retrieval)(figures.LIGHT).axes[0]
    wanted = [retrieval["standard"][side][name] for side in figures.DIRECTIONS for name in figures.RECALLS]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(wanted)
    assert [text.get_text() for text in axes.texts[:6]] == [f"{value:.1f}" for value in wanted]
    assert axes.get_ylabel() == "queries answered [%]"


def test_rank_bins_hold_every_query_once():
    ranks = {"text_to_image": [1, 2, 3, 4, 7, 8, 64], "image_to_text": [1, 1]}
    axes = figures.rank_figure(ranks)(figures.LIGHT).axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    bins = len(heights) // 2
    assert np.array(heights[:bins]) * 7 / 100 == pytest.approx([1, 2, 2, 1, 0, 0, 1])
    assert heights[bins] == 100
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["1", "2-3", "4-7"]


def test_curves_are_drawn_point_by_point():
    axes = figures.curve_figure({"loss": [(0, 2.0), (5, 1.0)], "held out": [(0, 3.0)]})(figures.DARK).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 2], [5, 1]]
    assert axes.get_xlabel() == "optimiser step"


def test_confusion_is_per_cent_of_the_row():
    axes = figures.confusion_figure([[3, 1], [0, 0]], ["a", "b"])(figures.LIGHT).axes[0]
    assert axes.images[0].get_array().tolist() == [[75, 25], [0, 0]]


def contrast(first, second):
    """WCAG 2.1 contrast ratio of two hex colours."""

    def luminance(colour):
        values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(values <= 0.03928, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [figures.LIGHT, figures.DARK])
def test_colours_stand_out_from_the_paper(theme):
    assert contrast(theme.ink, theme.paper) > 7
    assert all(contrast(colour, theme.paper) > 2.3 for colour in theme.series)


def test_svg_is_the_same_every_time(result):
    draw = figures.recall_figure(result["retrieval"])
    assert figures.svg(draw, figures.LIGHT) == figures.svg(draw, figures.LIGHT)
    assert figures.svg(draw, figures.LIGHT) != figures.svg(draw, figures.DARK)
