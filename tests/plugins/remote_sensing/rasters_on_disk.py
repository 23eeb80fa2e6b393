"""Small rasters that tests write."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

UTM = CRS.from_epsg(32632)
ORIGIN = (500_000.0, 5_500_000.0)


def write_raster(path, pixels, *, crs=UTM, size=10.0, transform=None, names=None, tags=None, **profile):
    """Write `[C, H, W]` pixels; `size` is the ground size of one in units of the reference system."""
    pixels = np.asarray(pixels)
    transform = from_origin(*ORIGIN, size, size) if transform is None else transform
    options = {"driver": "GTiff", "dtype": pixels.dtype, "count": len(pixels), "crs": crs, "transform": transform}
    with rasterio.open(path, "w", height=pixels.shape[1], width=pixels.shape[2], **options, **profile) as file:
        file.write(pixels)
        for number, name in enumerate(names or (), start=1):
            file.set_band_description(number, name)
        file.update_tags(**(tags or {}))
    return path


def fields(height=240, width=320, square=80):
    """`[3, H, W]` uint8: red, green and blue fields in a chequer of squares."""
    rows, columns = np.indices((height, width)) // square
    return ((rows + columns) % 3 == np.arange(3)[:, None, None]).astype(np.uint8) * 255
