"""Found tiles side by side, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.files import atomic_write
from vlcore_remote_sensing.rasters.pixels import SceneReader, Window, picture, scene_stretch
from vlcore_remote_sensing.rasters.scene import SceneError, open_scene

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_COLUMNS = 5
_SIDE = 256  # pixels of a tile


def write_sheet(hits: GeoDataFrame, path: Path, title: str, **reading: Any) -> Path:
    """Write a PNG of found tiles, best first, each with its score, scene and date.

    Args:
        hits: from `SceneIndex.search`.
        path: of the PNG.
        title: of the sheet.
        reading: options of `open_scene`.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, max(len(hits), 1))
    rows = -(-max(len(hits), 1) // columns)
    figure = Figure(figsize=(2.4 * columns, 2.8 * rows + 0.5), layout="constrained")
    figure.suptitle(f"“{title}”", fontsize=11)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, hit in zip(places, hits.itertuples(), strict=False):
        axes.set_title(f"{hit.rank}. {hit.score:.3f}\n{hit.scene[-28:]} {hit.date or ''}", fontsize=7)
        try:
            axes.imshow(_tile(hit.path, Window(*map(int, hit.window.split(","))), reading))
        except SceneError as error:
            axes.text(0.5, 0.5, f"not readable: {error}"[:80], wrap=True, ha="center", va="center", fontsize=6)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    return path


def _tile(path: str, window: Window, reading: dict[str, Any]) -> NDArray[np.uint8]:
    with SceneReader.open(open_scene(path, **reading)) as reader:
        return picture(reader.read(window, largest=_SIDE), scene_stretch(reader, "skip"))
