"""How well a heat map finds what a sentence describes, by the four scores of SeLo.

Source: Z. Yuan et al., Learning to Evaluate Performance of Multi-modal Semantic Localization, arXiv 2209.06515;
constants and filters are those of the authors' evaluation code, which the published numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError

Polygon = Sequence[tuple[float, float]]

SALIENCE = 0.707
REACH = 1.5
"""Radius of a region in mean distances of its corners from their centre; peaks beyond it are not its own."""
SHIFT = 3.0
SPREAD = 0.5
WEIGHTS = {"significant_area": 0.4, "attention_shift": 0.35, "discrete_attention": 0.25}

_BOX, _BOX_TIMES, _NEIGHBOURHOOD = 50, 5, 1000  # pixels, repetitions, pixels
_LEAST_PEAK = 0.5


def semantic_localisation(heat: NDArray[np.floating], regions: Sequence[Polygon]) -> dict[str, float]:
    """Score a map against the regions that its sentence describes.

    Args:
        heat: `[H, W]`, one value per pixel of the image; scaled here so that its least is 0 and its greatest 1.
        regions: polygons of `(x, y)` in pixels.

    Returns:
        `significant_area` (Rsu, share of attention inside, higher is better), `discrete_attention` (Rda, attention on
        one point, higher is better), `attention_shift` (Ras, distance of the peak from the region, lower is better) and
        `mean` (Rmi), each 0..1.

    Raises:
        EvaluationError: if there is no region, a region has no area, or the map is constant or not finite.
    """
    if not regions or any(len(region) < 3 for region in regions):
        raise EvaluationError("Localisation needs at least one region, each of three corners or more.")
    if heat.ndim != 2 or not np.isfinite(heat).all() or heat.max() <= heat.min():
        raise EvaluationError("Localisation needs a map [H, W] of finite values that are not all equal.")
    scaled = (heat - heat.min()) / (heat.max() - heat.min())
    grey = (scaled * 255).astype(np.uint8)
    attention = grey / 255.0
    circles = [_circle(region) for region in regions]
    peaks = _peaks(grey, attention)
    area = _significant_area(attention, _inside(regions, heat.shape))
    discrete = float(np.mean([_discrete_attention(peaks, circle) for circle in circles]))
    shift = _attention_shift(peaks, circles)
    return {
        "significant_area": area,
        "discrete_attention": discrete,
        "attention_shift": shift,
        "mean": mean_indicator(area, discrete, shift),
    }


def mean_indicator(significant_area: float, discrete_attention: float, attention_shift: float) -> float:
    """Rmi of the other three."""
    return (
        WEIGHTS["significant_area"] * significant_area
        + WEIGHTS["attention_shift"] * (1 - attention_shift)
        + WEIGHTS["discrete_attention"] * discrete_attention
    )


def _inside(regions: Sequence[Polygon], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    from PIL import Image, ImageDraw

    mask = Image.new("1", (shape[1], shape[0]))
    for region in regions:
        ImageDraw.Draw(mask).polygon([(int(x), int(y)) for x, y in region], fill=1, outline=1)
    return np.array(mask, dtype=bool)


def _circle(region: Polygon) -> tuple[NDArray[np.float64], float]:
    """Centre and radius of a region, whole pixels as in the authors' code."""
    corners = np.asarray(region, dtype=np.float64)
    centre = np.trunc(corners.sum(axis=0) / len(corners))
    radius = np.trunc(np.linalg.norm(corners - centre, axis=1).mean() * REACH)
    if not radius:
        raise EvaluationError(f"The region {list(region)!r:.80} has no area.")
    return centre, float(radius)


def _peaks(grey: NDArray[np.uint8], attention: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres `[K, 2]` (x, y) of what is highest within 500 pixels, after smoothing; weak ones do not count."""
    from scipy import ndimage

    smooth = grey
    for _ in range(_BOX_TIMES):
        smooth = np.rint(ndimage.uniform_filter(smooth.astype(np.float64), _BOX, mode="mirror")).astype(np.uint8)
    highest = (ndimage.maximum_filter(smooth, _NEIGHBOURHOOD) == smooth) & (smooth > 0)
    numbered, count = ndimage.label(highest, np.ones((3, 3)))
    centres = np.array(ndimage.center_of_mass(highest, numbered, range(1, count + 1)), dtype=np.int64).reshape(-1, 2)
    strong = centres[attention[centres[:, 0], centres[:, 1]] >= _LEAST_PEAK]
    return np.asarray(strong[:, ::-1], dtype=np.float64)


def _significant_area(attention: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    within, beyond = attention[inside].sum(), attention[~inside].sum()
    sizes = (inside.size - inside.sum()) / inside.sum()
    return float(1 - np.exp(-SALIENCE * within / (beyond + 1e-7) * sizes))


def _own(peaks: NDArray[np.float64], circle: tuple[NDArray[np.float64], float]) -> NDArray[np.float64]:
    centre, radius = circle
    near: NDArray[np.bool_] = np.linalg.norm(peaks - centre, axis=1) <= radius
    return peaks[near]


def _attention_shift(peaks: NDArray[np.float64], circles: Sequence[tuple[NDArray[np.float64], float]]) -> float:
    """Mean distance of a region's own peaks from its centre in radii, 1 without any, on an exponential scale."""
    distances = []
    for circle in circles:
        own = _own(peaks, circle)
        centre, radius = circle
        distances.append(np.linalg.norm(own - centre, axis=1).mean() / radius if len(own) else 1.0)
    return float((np.exp(SHIFT * np.mean(distances)) - 1) / (np.exp(SHIFT) - 1))


def _discrete_attention(peaks: NDArray[np.float64], circle: tuple[NDArray[np.float64], float]) -> float:
    own = _own(peaks, circle)
    if len(own) <= 1:
        return float(len(own))
    spread = np.linalg.norm(own - own.mean(axis=0), axis=1).mean() / circle[1]
    return float(0.5 * (1 - spread) + np.exp(-SPREAD * (len(own) + 2)))
