"""The pixel grid that a scene is worked on: north up, with a ground size in metres."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

WIDEST_UTM = 12.0
"""Degrees of longitude up to which a geographic scene is brought to UTM: two zones, where scale is off by 1 %."""


def warp_options(dataset: DatasetReader, crs: str | None, nodata: float | None) -> dict[str, Any] | None:
    """How to put a scene north up on a grid in metres; None where it lies so already.

    Projected scenes keep their own grid. Rotated scenes and those placed by ground control points are resampled in
    their own reference system, geographic ones to the UTM zone of their centre, unless they are wider than that is
    good for: those stay in degrees.

    Args:
        dataset: opened.
        crs: what the user says its reference system is; None to take the file's.
        nodata: what the user says is empty; None to take the file's.

    Raises:
        ConfigurationError: if it is not known where the scene is.
    """
    from rasterio.crs import CRS
    from rasterio.enums import Resampling

    points, points_crs = dataset.gcps
    placed = not dataset.transform.is_identity
    source = CRS.from_user_input(crs) if crs else dataset.crs or (points_crs if points and not placed else None)
    if source is None:
        raise ConfigurationError(
            f"{dataset.name} has no coordinate reference system, so a map of it has no place. If you know it, say "
            f"crs='EPSG:…'; otherwise georeference the file first."
        )
    if not placed and not points:
        raise ConfigurationError(
            f"{dataset.name} has neither a geotransform nor ground control points: only its size in pixels is known. "
            f"Georeference it first, in QGIS with the Georeferencer."
        )
    from_points = bool(points) and not placed
    target = source
    if source.is_geographic:
        target = _utm(dataset, source, from_points) or source
    upright = placed and dataset.transform.is_rectilinear and dataset.transform.a > 0 and dataset.transform.e < 0
    if upright and target == source and nodata is None and not crs:
        return None
    options: dict[str, Any] = {"src_crs": source, "crs": target, "resampling": Resampling.bilinear}
    if upright and target == source:  # only its empty value or its reference system is told anew: keep every pixel
        options |= {"transform": dataset.transform, "width": dataset.width, "height": dataset.height}
    empty = nodata if nodata is not None else dataset.nodata
    if empty is not None:
        options |= {"src_nodata": empty, "nodata": empty}
    else:
        options["add_alpha"] = True  # tells apart what the turned scene does not cover
    return options


def ground_size(crs: CRS, transform: Any, width: int, height: int) -> tuple[float, float]:
    """Metres on the ground of one pixel at the centre of a grid, across and down, measured on the globe.

    The unit of a reference system does not tell: Web Mercator's metre is 0.7 m at 45 degrees, some are in feet.
    """
    from pyproj import Geod
    from rasterio.warp import transform as transform_points

    column, row = width / 2, height / 2
    corners = [transform * place for place in ((column, row), (column + 1, row), (column, row + 1))]
    xs, ys = zip(*corners, strict=True)
    if crs.is_geographic:
        longitudes, latitudes = list(xs), list(ys)
    else:
        longitudes, latitudes = transform_points(crs, "EPSG:4326", xs, ys)
    globe = Geod(ellps="WGS84")
    *_, across = globe.inv(longitudes[0], latitudes[0], longitudes[1], latitudes[1])
    *_, down = globe.inv(longitudes[0], latitudes[0], longitudes[2], latitudes[2])
    return float(across), float(down)


def _utm(dataset: DatasetReader, source: CRS, from_points: bool) -> CRS | None:
    """UTM zone of a geographic scene's centre; None where the scene is too wide or too near to a pole."""
    from rasterio.crs import CRS

    if from_points:
        longitudes = [point.x for point in dataset.gcps[0]]
        latitudes = [point.y for point in dataset.gcps[0]]
        west, east, south, north = min(longitudes), max(longitudes), min(latitudes), max(latitudes)
    else:
        west, south, east, north = _corner_bounds(dataset)
    if east - west > WIDEST_UTM or north - south > 3 * WIDEST_UTM or not (-80 < (south + north) / 2 < 84):
        warnings.warn(
            f"{dataset.name} spans {east - west:.0f} by {north - south:.0f} degrees, too much for one UTM zone. It is "
            f"read in degrees; tile sizes in metres hold at its centre only.",
            stacklevel=2,
        )
        return None
    zone = int(((west + east) / 2 + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if south + north >= 0 else 32700) + zone)


def _corner_bounds(dataset: DatasetReader) -> tuple[float, float, float, float]:
    """West, south, east, north of the four corners, whichever way the grid is turned."""
    places = [dataset.transform * (x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
    xs, ys = zip(*places, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
