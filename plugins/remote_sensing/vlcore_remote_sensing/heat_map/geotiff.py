"""A heat map as a cloud-optimised GeoTIFF that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlcore.files import atomic_write, write_text
from vlcore_remote_sensing.heat_map.qgis_style import qgis_style

if TYPE_CHECKING:
    from vlcore_remote_sensing.heat_map.heat_map import HeatMap

_BLOCK = 128  # cells; overviews begin where a map is larger


def write_map(heat: HeatMap, path: Path) -> Path:
    """Write a map: for each prompt its similarity, for each its percentile, and the share that holds anything.

    Bands are float32 with NaN for empty places, named by their prompts, with the statistics that viewers stretch by.
    The style `<name>.qml` beside the file colours the first prompt; QGIS loads it with the map.

    Args:
        heat: the map.
        path: of the GeoTIFF.

    Returns:
        The path.

    Raises:
        OSError: if the file cannot be written; what was there before stays.
    """
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    bands = np.concatenate([heat.similarity, heat.percentile, heat.valid[None]]).astype(np.float32)
    names = [*heat.prompts, *(f"percentile: {prompt}" for prompt in heat.prompts), "valid fraction"]
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(bands),
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": heat.crs,
        "transform": heat.transform,
        "nodata": np.nan,
    }
    # Made in memory: GDAL's own temporary files would stay where a disk is full, and a map is small.
    with MemoryFile() as plain, MemoryFile() as optimised:
        with plain.open(**profile) as file:
            file.write(bands)
            file.update_tags(**heat.tags)
            for number, (name, values) in enumerate(zip(names, bands, strict=True), start=1):
                file.set_band_description(number, name)
                file.update_tags(number, **_statistics(values))
        options = {"compress": "DEFLATE", "predictor": "FLOATING_POINT", "overview_resampling": "AVERAGE"}
        copy(plain.name, optimised.name, driver="COG", blocksize=_BLOCK, **options)
        with atomic_write(path) as temporary:
            temporary.write_bytes(optimised.read())
    write_text(path.with_suffix(".qml"), qgis_style(bands[0]))
    return path


def _statistics(values: NDArray[np.float32]) -> dict[str, str]:
    there = values[np.isfinite(values)].astype(np.float64)
    if not len(there):
        return {}
    facts = {"MINIMUM": there.min(), "MAXIMUM": there.max(), "MEAN": there.mean(), "STDDEV": there.std()}
    return {f"STATISTICS_{name}": f"{value:.9g}" for name, value in facts.items()}
