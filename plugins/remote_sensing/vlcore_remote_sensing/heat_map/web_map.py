"""A heat map over a street map, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vlcore_remote_sensing.heat_map.qgis_style import COLOURS

if TYPE_CHECKING:
    import folium

    from vlcore_remote_sensing.heat_map.heat_map import HeatMap


def web_map(heat: HeatMap, number: int) -> folium.Map:
    """Lay the percentile of one prompt over a street map (the street map itself needs a network).

    Args:
        heat: the map.
        number: place of the prompt.
    """
    import folium
    from matplotlib import colormaps
    from rasterio.enums import Resampling
    from rasterio.transform import array_bounds
    from rasterio.warp import calculate_default_transform, reproject, transform_bounds

    rows, columns = heat.valid.shape
    bounds = array_bounds(rows, columns, heat.transform)
    # Browsers stretch pictures evenly in Web Mercator, so the picture is made in it.
    transform, width, height = calculate_default_transform(heat.crs, "EPSG:3857", columns, rows, *bounds)
    projected = np.full((height, width), np.nan, dtype=np.float32)
    reproject(
        heat.percentile[number],
        projected,
        src_transform=heat.transform,
        src_crs=heat.crs,
        src_nodata=np.nan,
        dst_transform=transform,
        dst_crs="EPSG:3857",
        dst_nodata=np.nan,
        resampling=Resampling.nearest,
    )
    picture = colormaps[COLOURS](np.nan_to_num(projected) / 100)
    picture[..., 3] = np.where(np.isfinite(projected), 0.65, 0)
    west, south, east, north = transform_bounds("EPSG:3857", "EPSG:4326", *array_bounds(height, width, transform))
    corners = [[south, west], [north, east]]
    shown = folium.Map()
    folium.raster_layers.ImageOverlay(picture, corners, name=heat.prompts[number]).add_to(shown)
    folium.LayerControl().add_to(shown)
    shown.fit_bounds(corners)
    return shown
