"""Figures of the report: recalls with floors and intervals, loss curves, ranks. Drawn without a global backend."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from vlcore.report.scores import DIRECTIONS, FLOORS, RECALLS


@dataclass(frozen=True)
class Theme:
    """Colours of a figure.

    Attributes:
        paper: behind it.
        ink: of text and axes.
        faint: of grid lines.
        series: in order of use; told apart with colour-blind eyes (Okabe and Ito 2008, colour universal design).
    """

    paper: str
    ink: str
    faint: str
    series: tuple[str, ...]


LIGHT = Theme("#ffffff", "#1c2024", "#dfe3e8", ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9"))
DARK = Theme("#181c22", "#e7eaee", "#323a44", ("#56b4e9", "#f0955a", "#3cc49a", "#e3a5c7", "#e6c84f", "#9ecff2"))

Draw = Callable[[Theme], Figure]


def svg(draw: Draw, theme: Theme) -> bytes:
    """A figure as SVG with its letters as outlines; equal input gives equal bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "vlcore", "svg.fonttype": "path"}):
        draw(theme).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def png(draw: Draw) -> bytes:
    """A figure on white at 200 dots per inch."""
    buffer = io.BytesIO()
    draw(LIGHT).savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def recall_figure(retrieval: Mapping[str, Any]) -> Draw:
    """Recall at 1, 5 and 10 of both directions, with 95 % intervals, floors and the duplicate-tolerant score."""
    standard, tolerant = retrieval["standard"], retrieval.get("duplicate_tolerant")

    def draw(theme: Theme) -> Figure:
        figure, axes = _frame(theme, 8.6, 4.0)
        places = np.array([0, 1, 2, 3.6, 4.6, 5.6])
        keys = [(side, name) for side in DIRECTIONS for name in RECALLS]
        height = np.array([standard[side][name] for side, name in keys])
        colours = [theme.series[0]] * 3 + [theme.series[2]] * 3
        axes.bar(places, height, 0.62, color=colours, zorder=2)
        interval = standard.get("interval")
        if interval:
            ends = np.array([interval[side][name] for side, name in keys])
            reach = np.abs(ends.T - height)
            axes.errorbar(places, height, reach, fmt="none", ecolor=theme.ink, elinewidth=1.3, capsize=4, zorder=4)
        for place, value in zip(places, height, strict=True):
            inside = value > 24
            axes.annotate(f"{value:.1f}", (place, value / 2 if inside else value + 7), ha="center", va="center",
                          color=theme.paper if inside else theme.ink, weight="bold", zorder=7)  # fmt: skip
        if tolerant:
            circles = [tolerant[side][name] for side, name in keys]
            axes.scatter(places, circles, 34, facecolors=theme.paper, edgecolors=theme.ink, linewidths=1.3, zorder=5,
                         label="duplicate-tolerant")  # fmt: skip
        floors = {FLOORS.get(name, name): scores for name, scores in (standard.get("floor") or {}).items()}
        if standard.get("chance"):
            floors["chance"] = standard["chance"]
        for (name, scores), style in zip(floors.items(), ("-", ":", "--", "-."), strict=False):
            values = np.array([scores[side][key] for side, key in keys])
            axes.hlines(values, places - 0.42, places + 0.42, colors=theme.series[1], linestyles=style, linewidth=2.2,
                        zorder=6, label=name)  # fmt: skip
        axes.set_xticks(places, [f"R@{name[1:]}" for _, name in keys])
        for middle, side in ((1.0, "image_to_text"), (4.6, "text_to_image")):
            axes.annotate(DIRECTIONS[side], (middle, -0.17), xycoords=("data", "axes fraction"), ha="center",
                          weight="bold", color=theme.ink, annotation_clip=False)  # fmt: skip
        axes.set(ylim=(0, 104), xlim=(-0.6, 6.2), ylabel="queries answered [%]")
        axes.set_title("Recall with 95 % intervals, floors and chance", loc="left", weight="bold", color=theme.ink)
        _legend(axes, theme)
        return figure

    return draw


def curve_figure(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Draw:
    """Training curves over steps."""

    def draw(theme: Theme) -> Figure:
        figure, axes = _frame(theme, 8.6, 3.4)
        for number, (name, points) in enumerate(curves.items()):
            steps, values = np.array(points, dtype=np.float64).reshape(-1, 2).T
            colour = theme.series[number % len(theme.series)]
            axes.plot(steps, values, ("-", "--", "-.", ":")[number % 4], color=colour, linewidth=1.8, label=name)
        axes.set(xlabel="optimiser step", ylabel="value [nats for losses]")
        axes.set_title("Training curves", loc="left", weight="bold", color=theme.ink)
        _legend(axes, theme)
        return figure

    return draw


def rank_figure(ranks: Mapping[str, Sequence[int]]) -> Draw:
    """How far down the right item was found: share of queries by rank, in bins that double."""

    def draw(theme: Theme) -> Figure:
        figure, axes = _frame(theme, 8.6, 3.4)
        worst = max(max(values) for values in ranks.values() if len(values))
        edges = [1]
        while edges[-1] <= worst:
            edges.append(edges[-1] * 2)
        labels = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
        width = 0.8 / len(ranks)
        for number, (side, values) in enumerate(ranks.items()):
            share = np.histogram(np.asarray(values), bins=edges)[0] / len(values) * 100
            # The last bin of a histogram is closed above; no rank lies on that edge.
            place = np.arange(len(share)) + (number - (len(ranks) - 1) / 2) * width
            axes.bar(place, share, width * 0.92, color=theme.series[(0, 2)[number % 2]], zorder=2,
                     hatch=("", "//")[number % 2], edgecolor=theme.paper, linewidth=0,
                     label=DIRECTIONS.get(side, side))  # fmt: skip
        axes.set_xticks(range(len(labels)), labels)
        axes.set(xlabel="rank of the right item", ylabel="queries [%]")
        axes.set_title("Where the right item was found", loc="left", weight="bold", color=theme.ink)
        _legend(axes, theme)
        return figure

    return draw


def confusion_figure(counts: Sequence[Sequence[float]], labels: Sequence[str]) -> Draw:
    """Confusion of classes: rows are what it is, columns what the model said, per cent of the row."""

    def draw(theme: Theme) -> Figure:
        matrix = np.asarray(counts, dtype=np.float64)
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) * 100
        size = min(11.0, 2.6 + 0.36 * len(labels))
        figure, axes = _frame(theme, size + 1.2, size)
        axes.grid(visible=False)
        tones = LinearSegmentedColormap.from_list("share", [theme.paper, theme.series[0]])
        shown = axes.imshow(share, cmap=tones, vmin=0, vmax=100)
        axes.set_xticks(range(len(labels)), labels, rotation=55, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        for row, column in np.argwhere(share >= 0.5) if len(labels) <= 20 else ():
            value = share[row, column]
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                      color=theme.ink if value < 55 else theme.paper)  # fmt: skip
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title("Zero-shot confusion", loc="left", weight="bold", color=theme.ink)
        bar = figure.colorbar(shown, ax=axes, shrink=0.8)
        bar.set_label("share of the true class [%]", color=theme.ink)
        bar.ax.tick_params(colors=theme.ink)
        bar.outline.set_visible(False)
        return figure

    return draw


def _frame(theme: Theme, width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.tick_params(colors=theme.ink, length=0)
    axes.grid(axis="y", color=theme.faint, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.ink)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    return figure, axes


def _legend(axes: Any, theme: Theme) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.figure.legend(handles, labels, frameon=False, labelcolor=theme.ink, fontsize=9, ncols=len(labels),
                           loc="outside lower center")  # fmt: skip
