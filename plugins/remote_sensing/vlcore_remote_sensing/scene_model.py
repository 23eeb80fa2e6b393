"""The notebook's way in: a model that reads scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlcore.retrieval.model import Model, load
from vlcore_remote_sensing.heat_map.make import heat_map
from vlcore_remote_sensing.rasters.radiometry import RadiometryName
from vlcore_remote_sensing.rasters.scene import Scene, open_scene

if TYPE_CHECKING:
    from vlcore_remote_sensing.heat_map.heat_map import HeatMap
    from vlcore_remote_sensing.scene_index.search import SceneIndex


def open_model(path_or_hub_id: Path | str, device: str | None = None) -> SceneModel:
    """Load a model directory for use on scenes.

    Args:
        path_or_hub_id: as for `vlcore.load`.
        device: `cuda`, `mps`, `cpu`; chosen by what is there if left out.

    Example:
        >>> model = open_model("runs/rsicd/model")  # doctest: +SKIP
        >>> model.heatmap("scene.tif", ["a river", "a bridge"]).save("heat.tif")  # doctest: +SKIP
    """
    return SceneModel(load(path_or_hub_id, device))


class SceneModel:
    """A model together with what it can do with scenes.

    Args:
        model: aligned towers.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def heatmap(
        self,
        scene: Scene | Path | str,
        prompts: Sequence[str] | str,
        out: Path | str | None = None,
        *,
        bands: Sequence[str] | str = "auto",
        band_names: Sequence[str] | None = None,
        radiometry: RadiometryName = "auto",
        nodata: float | None = None,
        crs: str | None = None,
        **options: Any,
    ) -> HeatMap:
        """Tell how well each place of a scene fits each prompt.

        Args:
            scene: file, URL or an opened scene.
            prompts: words, one map for each.
            out: GeoTIFF to write.
            bands: as for `open_scene`, like all up to `crs`; not used for an opened scene.
            band_names: what the file's bands are, in order.
            radiometry: what the stored numbers are.
            nodata: stored value of empty pixels.
            crs: reference system.
            options: of `vlcore_remote_sensing.heat_map.make.heat_map`: tile, scales, dense, …
        """
        if not isinstance(scene, Scene):
            scene = open_scene(scene, bands=bands, band_names=band_names, radiometry=radiometry, nodata=nodata, crs=crs)
        heat = heat_map(self.model, scene, prompts, **options)
        if out is not None:
            heat.save(out)
        return heat

    def index(self, source: Path | str, path: Path | str, **options: Any) -> SceneIndex:
        """Make the tiles of scenes searchable, or bring their index up to date.

        Args:
            source: folder with rasters, one raster, or a STAC catalogue.
            path: folder of the index.
            options: of `vlcore_remote_sensing.scene_index.build.index_scenes`.
        """
        from vlcore_remote_sensing.scene_index.build import index_scenes
        from vlcore_remote_sensing.scene_index.search import SceneIndex

        index_scenes(self.model, source, path, **options)
        return SceneIndex(path, self.model)

    def open_index(self, path: Path | str) -> SceneIndex:
        """Open an index that was made before."""
        from vlcore_remote_sensing.scene_index.search import SceneIndex

        return SceneIndex(path, self.model)
