"""Where windows lie on a scene, and the cells that a map of it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.rasters.pixels import Window
from vlcore_remote_sensing.rasters.scene import Scene

CELLS_PER_TILE = 8
"""Cells of the map along the side of a smallest window."""

SCALES = (1.0, 2.0, 3.0)
"""Sides of the windows in tiles: SeLo's 256, 512 and 768 pixels (Z. Yuan et al., arXiv 2209.06515)."""

_SMALLEST_TILE = 16  # pixels; below it an image tower has nothing to look at


@dataclass(frozen=True)
class Layout:
    """Windows of several sizes over a scene, each size on a grid and on the same grid moved by half a window.

    Attributes:
        windows: in the order of their scale, then row, then column.
        cell: width and height of a map cell in pixels of the scene.
        columns: of the map.
        rows: of the map; the last cells may reach over the scene's edge.
        tile: ground size in metres of the smallest windows.
        scales: sides of the windows in tiles.
    """

    windows: tuple[Window, ...]
    cell: tuple[int, int]
    columns: int
    rows: int
    tile: float
    scales: tuple[float, ...]

    def transform(self, scene: Scene) -> Any:
        """Where the map's cells lie: the scene's own grid, every n-th pixel (an `affine.Affine`)."""
        return scene.transform * scene.transform.scale(*self.cell)


def lay_out(
    scene: Scene, tower_side: int, tile: float | None = None, scales: Sequence[float] = SCALES, *, moved: bool = True
) -> Layout:
    """Cover a scene with windows, up to its edges.

    Args:
        scene: to cover.
        tower_side: pixels that the image tower sees along a side.
        tile: ground size in metres of the smallest windows; left out, they have as many pixels as the tower sees, or
            a third of the scene's shorter side if that is less.
        scales: sides of the windows in tiles.
        moved: lay each grid again, moved by half a window.

    Raises:
        ConfigurationError: if a window would have hardly any pixels, or the scales are no sizes.
    """
    if not scales or min(scales) < 1:
        raise ConfigurationError(f"scales={list(scales)}: give sides in tiles, 1 or more, such as 1 2 3.")
    if tile is None:
        pixels = max(_SMALLEST_TILE, min(tower_side, min(scene.width, scene.height) // 3))
        # Pixels need not be square, tiles are: the longer side of a pixel decides.
        across, down = (pixels * max(scene.pixel_size) / size for size in scene.pixel_size)
    else:
        across, down = (tile / size for size in scene.pixel_size)
        if round(min(across, down)) < _SMALLEST_TILE:
            least = _SMALLEST_TILE * max(scene.pixel_size)
            raise ConfigurationError(
                f"tile={tile:g} m is {min(across, down):.1f} pixels of {scene.name}, whose pixels are "
                f"{max(scene.pixel_size):.3g} m; an image tower sees nothing in that. Choose {least:.3g} m or more."
            )
    # Tiles are whole cells, so that windows of whole scales end where cells end.
    cell = max(1, round(across / CELLS_PER_TILE)), max(1, round(down / CELLS_PER_TILE))
    side = cell[0] * CELLS_PER_TILE, cell[1] * CELLS_PER_TILE
    windows: dict[Window, None] = {}
    for scale in scales:
        width, height = min(scene.width, round(side[0] * scale)), min(scene.height, round(side[1] * scale))
        for half in (False, True) if moved else (False,):
            columns = _starts(scene.width, width, half)
            rows = _starts(scene.height, height, half)
            windows.update((Window(column, row, width, height), None) for row, column in product(rows, columns))
    return Layout(
        windows=tuple(windows),
        cell=cell,
        columns=-(-scene.width // cell[0]),
        rows=-(-scene.height // cell[1]),
        tile=side[0] * scene.pixel_size[0],
        scales=tuple(scales),
    )


def _starts(length: int, window: int, moved: bool) -> list[int]:
    """Starts of windows along one side, side by side; the last is drawn in to end at the edge."""
    first = window // 2 if moved else 0
    last = length - window
    return sorted({min(start, last) for start in range(first, length, window)})
