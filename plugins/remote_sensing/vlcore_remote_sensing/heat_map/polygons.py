"""Places that fit a prompt, as polygons."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlcore.errors import ConfigurationError
from vlcore.files import sync

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from vlcore_remote_sensing.heat_map.heat_map import HeatMap

FORMATS = (".gpkg", ".geojson", ".parquet")
"""What `write_polygons` can write, by the ending of the file's name."""


def outline(heat: HeatMap, percentile: float = 95.0, similarity: float | None = None) -> GeoDataFrame:
    """Outline the connected cells that fit each prompt well enough.

    Args:
        heat: the map.
        percentile: cells from this one on, 0..100, within the scene.
        similarity: cells from this cosine on, in place of the percentile.

    Returns:
        A table in the map's reference system, best first: `prompt`, `similarity_mean`, `similarity_max`,
        `percentile_max`, `area_m2` (on the ellipsoid), `geometry`.

    Raises:
        ConfigurationError: if the percentile is out of range.
    """
    from geopandas import GeoDataFrame
    from pyproj import Geod
    from rasterio.features import rasterize, shapes
    from shapely.geometry import shape

    if not 0 <= percentile <= 100:
        raise ConfigurationError(f"percentile={percentile:g}: give a number from 0 to 100.")
    rows = []
    for prompt, values, ranks in zip(heat.prompts, heat.similarity, heat.percentile, strict=True):
        inside = np.nan_to_num(values, nan=-np.inf) >= similarity if similarity is not None else ranks >= percentile
        found = [geometry for geometry, _ in shapes(inside.astype(np.uint8), inside, 4, heat.transform)]
        if not found:
            continue
        numbers = rasterize(zip(found, range(len(found)), strict=True), inside.shape, -1, transform=heat.transform)
        numbers, values, ranks = numbers[inside], values[inside], ranks[inside]
        best, highest = np.full(len(found), -np.inf), np.full(len(found), -np.inf)
        np.maximum.at(best, numbers, values)
        np.maximum.at(highest, numbers, ranks)
        means = np.bincount(numbers, values) / np.bincount(numbers)
        rows += [
            {
                "prompt": prompt,
                "similarity_mean": float(mean),
                "similarity_max": float(similarity_max),
                "percentile_max": float(percentile_max),
                "geometry": shape(geometry),
            }
            for geometry, mean, similarity_max, percentile_max in zip(found, means, best, highest, strict=True)
        ]
    columns = ["prompt", "similarity_mean", "similarity_max", "percentile_max", "geometry"]
    table = GeoDataFrame(rows, columns=columns, geometry="geometry", crs=heat.crs)
    globe = Geod(ellps="WGS84")
    areas = [abs(globe.geometry_area_perimeter(geometry)[0]) for geometry in table.geometry.to_crs("EPSG:4326")]
    table.insert(4, "area_m2", areas)
    return table.sort_values("similarity_max", ascending=False, ignore_index=True)


def write_polygons(table: GeoDataFrame, path: Path) -> Path:
    """Write polygons in the format that the name asks for, whole or not at all.

    GeoPackage and GeoParquet (with a covering box, so that readers can skip what is elsewhere) keep the reference
    system; GeoJSON is in longitude and latitude, as its standard demands (RFC 7946).

    Args:
        table: from `outline`.
        path: ending in `.gpkg`, `.geojson` or `.parquet`.

    Raises:
        ConfigurationError: if the ending is another one.
    """
    if path.suffix not in FORMATS:
        raise ConfigurationError(f"{path}: polygons are written to {', '.join(FORMATS)}. Choose one of these endings.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder beside it, because the drivers insist on the right ending and SQLite writes more than one file.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        whole = Path(folder) / path.name
        if path.suffix == ".gpkg":
            table.to_file(whole, driver="GPKG", layer=path.stem)
        elif path.suffix == ".geojson":
            table.to_crs("EPSG:4326").to_file(whole, driver="GeoJSON", RFC7946="YES")
        else:
            table.to_parquet(whole, write_covering_bbox=True, schema_version="1.1.0")
        sync(whole)
        whole.replace(path)
    sync(path.parent)
    return path
