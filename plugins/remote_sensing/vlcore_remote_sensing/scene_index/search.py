"""Tiles of an index found by words, by an example, by place and date, as a table with outlines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore.files import atomic_write
from vlcore.retrieval.index import Index
from vlcore_remote_sensing.rasters.pixels import SceneReader, scene_stretch, tower_image, whole
from vlcore_remote_sensing.rasters.scene import open_scene
from vlcore_remote_sensing.scene_index.build import read_state

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from vlcore.retrieval.model import Model

_SHOWN = ("scene", "date", "west", "south", "east", "north", "pixel_size", "valid_fraction", "crs")
_RASTERS = (".tif", ".tiff", ".jp2", ".vrt")


class SceneIndex:
    """An index that `index_scenes` made, opened for search.

    Args:
        path: folder of the index.
        model: that made it.

    Raises:
        ConfigurationError: if it is not there, or an index of something else.
        FingerprintMismatchError: if another model made it.
    """

    def __init__(self, path: Path | str, model: Model) -> None:
        self.index = Index.open(path, model)
        self.model = model
        read_state(Path(path))

    def __len__(self) -> int:
        return len(self.index)

    def search(
        self,
        query: str | NDArray[np.float32],
        k: int = 10,
        *,
        bbox: Sequence[float] | None = None,
        dates: tuple[str | None, str | None] = (None, None),
        where: str | None = None,
    ) -> GeoDataFrame:
        """Find the tiles nearest to a query.

        Args:
            query: words, or a vector `[D]` such as `example` gives.
            k: how many.
            bbox: west, south, east, north in degrees that tiles must touch; west may lie east of east, over the date
                line.
            dates: first and last day, `YYYY-MM-DD`, each or both None; tiles without a date are left out.
            where: SQL condition over the index's columns.

        Returns:
            A table in longitude and latitude, best first: `rank`, `score`, `id`, `scene`, `date`, bounds,
            `pixel_size` (metres), `valid_fraction`, `crs`, `path`, `window`, `geometry`.

        Raises:
            ConfigurationError: if a condition cannot be used.
        """
        from geopandas import GeoDataFrame
        from shapely import from_wkt

        conditions = [f"({one})" for one in (_in_box(bbox), _in_time(dates), where) if one]
        hits = self.index.search(query, k, " AND ".join(conditions) or None)
        rows: list[dict[str, Any]] = [
            {
                "rank": rank,
                "score": hit.score,
                "id": hit.id,
                **{name: hit.columns.get(name) for name in _SHOWN},
                "path": str(hit.image.path),
                "window": ",".join(map(str, hit.image.window or ())),
                "geometry": from_wkt(hit.columns["outline"]),
            }
            for rank, hit in enumerate(hits, start=1)
        ]
        columns = ["rank", "score", "id", *_SHOWN, "path", "window", "geometry"]
        return GeoDataFrame(rows, columns=columns, geometry="geometry", crs="EPSG:4326")

    def example(self, chip: Path | str, **options: Any) -> NDArray[np.float32]:
        """Vector `[D]` of an example: a small raster, read as the scenes were, or a picture in RGB.

        Args:
            chip: file.
            options: of `open_scene`, for rasters: bands, band_names, radiometry, nodata, crs.
        """
        if Path(chip).suffix.lower() not in _RASTERS:
            return np.asarray(self.model.embed_images([chip])[0])
        import torch

        scene = open_scene(chip, **options)
        with SceneReader.open(scene) as reader:
            image = tower_image(reader.read(whole(scene)), scene_stretch(reader), self.model.preprocess)
        vector: NDArray[np.float32] = self.model.embed_pixels(torch.from_numpy(image)[None])[0]
        return vector

    def to_geoparquet(self, path: Path | str) -> Path:
        """Write every tile with its outline and its vector as GeoParquet 1.1, with covering boxes."""
        from geopandas import GeoDataFrame
        from shapely import from_wkt

        table = self.index.to_arrow()
        outlines = from_wkt(table["outline"].to_pylist())
        kept = table.select([name for name in ("id", *_SHOWN) if name in table.column_names]).to_pandas()
        kept["vector"] = list(np.array(table["vector"].to_pylist(), dtype=np.float32))
        frame = GeoDataFrame(kept, geometry=outlines, crs="EPSG:4326")
        with atomic_write(path) as temporary:
            frame.to_parquet(temporary, write_covering_bbox=True, schema_version="1.1.0")
        return Path(path)


def _in_box(bbox: Sequence[float] | None) -> str | None:
    if bbox is None:
        return None
    if len(bbox) != 4 or not (-90 <= bbox[1] <= bbox[3] <= 90 and -180 <= bbox[0] <= 180 and -180 <= bbox[2] <= 180):
        raise ConfigurationError(f"bbox={list(bbox)}: give west, south, east, north in degrees.")
    west, south, east, north = (float(value) for value in bbox)
    # Over the date line there are two boxes, one on either side.
    ranges = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    sides = " OR ".join(_touches(*one) for one in ranges)
    return f"south <= {north} AND north >= {south} AND ({sides})"


def _touches(west: float, east: float) -> str:
    """Tiles that touch a range of longitude; those over the date line have their west east of their east."""
    plain = f"(west <= east AND west <= {east} AND east >= {west})"
    return f"{plain} OR (west > east AND (east >= {west} OR west <= {east}))"


def _in_time(dates: tuple[str | None, str | None]) -> str | None:
    import datetime

    conditions = []
    for day, sign in zip(dates, (">=", "<="), strict=True):
        if day is None:
            continue
        try:
            datetime.date.fromisoformat(day)
        except ValueError:
            raise ConfigurationError(f"The date {day!r} is not written YYYY-MM-DD.") from None
        conditions.append(f"date {sign} '{day}'")
    return " AND ".join(conditions) or None
