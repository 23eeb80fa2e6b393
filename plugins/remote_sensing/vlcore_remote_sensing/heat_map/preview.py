"""A heat map to look at: the scene, and the map over it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlcore.files import atomic_write
from vlcore_remote_sensing.heat_map.qgis_style import COLOURS
from vlcore_remote_sensing.rasters.pixels import SceneReader, picture, whole
from vlcore_remote_sensing.rasters.scene import Scene, SceneError
from vlcore_remote_sensing.rasters.stretch import Stretch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vlcore_remote_sensing.heat_map.heat_map import HeatMap

_SIDE = 900  # pixels of the longer side of a thumbnail


def thumbnail(scene: Scene, stretch: Stretch, side: int = _SIDE) -> NDArray[np.uint8]:
    """The scene as the image tower saw it, `[h, w, 4]` uint8; empty places are transparent, all of a damaged one."""
    with SceneReader.open(scene) as reader:
        try:
            return picture(reader.read(whole(scene), largest=side), stretch)
        except SceneError:
            return np.zeros((1, 1, 4), dtype=np.uint8)


def figure(heat: HeatMap, number: int) -> Figure:
    """Draw the scene, and beside it the percentile of one prompt over the scene in grey.

    Args:
        heat: the map.
        number: place of the prompt.
    """
    from matplotlib.figure import Figure

    scene = heat.scene
    image = thumbnail(scene, heat.stretch)
    left, top = scene.transform * (0, 0)
    right, bottom = scene.transform * (scene.width, scene.height)
    rows, columns = heat.valid.shape
    far_right, far_bottom = heat.transform * (columns, rows)
    height = 5.2 * min(2.0, max(0.4, image.shape[0] / image.shape[1])) + 0.9
    drawn = Figure(figsize=(11, height), layout="constrained")
    plain, mapped = drawn.subplots(1, 2, sharex=True, sharey=True)
    grey = image.copy()
    grey[..., :3] = image[..., :3].mean(axis=2, keepdims=True)
    plain.imshow(image, extent=(left, right, bottom, top))
    mapped.imshow(grey, extent=(left, right, bottom, top))
    colours = mapped.imshow(
        heat.percentile[number],
        extent=(left, far_right, far_bottom, top),
        cmap=COLOURS,
        vmin=0,
        vmax=100,
        alpha=0.6,
        interpolation="nearest",
    )
    plain.set_title(f"{scene.name}{f', {scene.date}' if scene.date else ''}", fontsize=10)
    mapped.set_title(f"“{heat.prompts[number]}”", fontsize=10)
    drawn.colorbar(colours, ax=mapped, label="percentile of similarity in this scene", shrink=0.8)
    for axes in (plain, mapped):
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.tick_params(labelsize=7)
        axes.ticklabel_format(style="plain", useOffset=False)
        axes.tick_params(axis="x", rotation=20)
    return drawn


def write_preview(heat: HeatMap, path: Path, number: int) -> Path:
    """Write `figure` as a PNG."""
    drawn = figure(heat, number)
    with atomic_write(path) as temporary:
        drawn.savefig(temporary, format="png", dpi=120)
    return path
