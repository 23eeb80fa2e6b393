"""A map of how well each place of a scene fits each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.rasters.scene import Scene
from vlcore_remote_sensing.rasters.stretch import Stretch

if TYPE_CHECKING:
    import folium
    from geopandas import GeoDataFrame
    from matplotlib.figure import Figure
    from rasterio.crs import CRS


@dataclass(frozen=True)
class HeatMap:
    """Similarities on the scene's own grid, every n-th pixel.

    Attributes:
        prompts: P prompts.
        similarity: `[P, rows, columns]` float32 cosines; NaN where the scene is empty.
        valid: `[rows, columns]` float32, share of each cell that holds anything.
        crs: coordinate reference system.
        transform: of the cells (an `affine.Affine`).
        scene: it was made of.
        stretch: the scene was shown with.
        tags: model, prompts, tile size, date, licences and all else that tells how it was made.
    """

    prompts: tuple[str, ...]
    similarity: NDArray[np.float32]
    valid: NDArray[np.float32]
    crs: CRS
    transform: Any
    scene: Scene
    stretch: Stretch
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def percentile(self) -> NDArray[np.float32]:
        """`[P, rows, columns]`, 0..100: which share of the scene's cells fits a prompt no better than this one.

        Cosines of different prompts and models do not compare; these do, within one scene.
        """
        ranks = np.full_like(self.similarity, np.nan)
        for values, rank in zip(self.similarity, ranks, strict=True):
            there = np.isfinite(values)
            ordered = np.sort(values[there])
            rank[there] = np.searchsorted(ordered, values[there], side="right") * 100 / max(len(ordered), 1)
        return ranks

    def prompt_number(self, prompt: str | None) -> int:
        """Place of a prompt; the first for None.

        Raises:
            ConfigurationError: if the map has no such prompt.
        """
        if prompt is None:
            return 0
        if prompt not in self.prompts:
            raise ConfigurationError(f"The map has no prompt {prompt!r}. It has {', '.join(map(repr, self.prompts))}.")
        return self.prompts.index(prompt)

    def save(self, path: Path | str) -> Path:
        """Write a cloud-optimised GeoTIFF and, beside it, a style for QGIS; see `write_map`."""
        from vlcore_remote_sensing.heat_map.geotiff import write_map

        return write_map(self, Path(path))

    def to_polygons(self, percentile: float = 95.0, similarity: float | None = None) -> GeoDataFrame:
        """Outline what fits; see `vlcore_remote_sensing.heat_map.polygons.outline`."""
        from vlcore_remote_sensing.heat_map.polygons import outline

        return outline(self, percentile, similarity)

    def figure(self, prompt: str | None = None) -> Figure:
        """Draw the scene beside the map of one prompt."""
        from vlcore_remote_sensing.heat_map.preview import figure

        return figure(self, self.prompt_number(prompt))

    def preview(self, path: Path | str, prompt: str | None = None) -> Path:
        """Write the figure as a PNG."""
        from vlcore_remote_sensing.heat_map.preview import write_preview

        return write_preview(self, Path(path), self.prompt_number(prompt))

    def show(self, prompt: str | None = None) -> folium.Map:
        """Lay the map of one prompt over a street map, to look at in a notebook."""
        from vlcore_remote_sensing.heat_map.web_map import web_map

        return web_map(self, self.prompt_number(prompt))

    def _repr_png_(self) -> bytes:
        """The figure of the first prompt, where a notebook shows the map."""
        buffer = BytesIO()
        self.figure().savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()

    def __repr__(self) -> str:
        rows, columns = self.valid.shape
        words = ", ".join(map(repr, self.prompts))
        return f"HeatMap({self.scene.name!r}: {words}; {columns} x {rows} cells, {self.crs.to_string()[:24]})"
