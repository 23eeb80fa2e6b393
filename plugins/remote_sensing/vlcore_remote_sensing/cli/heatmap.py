"""`vlcore remote-sensing heatmap`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def heatmap(
    scene: str,
    prompts: list[str],
    output: Path,
    model: Path | None = None,
    tile: float | None = None,
    scales: list[float] = [1.0, 2.0, 3.0],  # noqa: B006 (read only)
    dense: bool = False,
    taper: bool = True,
    templates: str = "plain",
    bands: list[str] = ["auto"],  # noqa: B006 (read only)
    band_names: list[str] | None = None,
    radiometry: Literal["auto", "stored", "sentinel-2", "sentinel-2-harmonised"] = "auto",
    nodata: float | None = None,
    crs: str | None = None,
    polygons: Path | None = None,
    percentile: float = 95.0,
    preview: Path | None = None,
    least_valid: float = 0.1,
    on_bad_block: Literal["raise", "skip"] = "raise",
    batch_size: int = 32,
    workers: int = 2,
    device: str | None = None,
) -> None:
    """Make a map of how well each place of a scene fits your words.

    Writes a cloud-optimised GeoTIFF on the scene's own grid, with a style that QGIS loads: for each prompt its
    similarity and its percentile within the scene, and the share of each cell that holds anything. The scene is
    encoded once; more prompts on the same scene answer at once.

    Examples:
        vlcore remote-sensing heatmap scene.tif "solar farm beside a road" -o heat.tif --model runs/rsicd/model
        vlcore remote-sensing heatmap scene.tif "a river" "a bridge" -o heat.tif --polygons hits.gpkg --preview heat.png
        vlcore remote-sensing heatmap landsat.tif "a lake" -o lake.tif --band-names blue green red nir --tile 2000

    Args:
        scene: GeoTIFF, COG or anything GDAL reads: a file, a URL, zip://a.zip!b.tif.
        prompts: words, one map for each.
        output: GeoTIFF to write; a style for QGIS goes beside it.
        model: model directory; the one that VLCORE_MODEL names if left out.
        tile: ground size in metres of the smallest windows; chosen from the scene's pixels if left out.
        scales: sides of the windows in tiles.
        dense: compare each cell of the image tower's feature map in place of each window; finer, rougher.
        taper: count windows less towards their edges; without it, the plain average of SeLo.
        templates: prompt set whose sentences the words are put into, such as remote_sensing/aerial.
        bands: three shown as red, green and blue, or one in grey; by name (B04), common name (red) or wavelength
            (665nm).
        band_names: what the file's bands are, in order, where it does not say.
        radiometry: what the stored numbers are; auto trusts the file's scale and a Sentinel-2 product's name.
        nodata: stored value of empty pixels, in place of the file's.
        crs: coordinate reference system, in place of the file's, such as EPSG:32632.
        polygons: file of outlines to write (.gpkg, .geojson or .parquet).
        percentile: cells from this one on are outlined.
        preview: PNG to write of the first prompt.
        least_valid: share of a window that must hold anything.
        on_bad_block: stop at blocks that cannot be read, or leave such places empty, counted.
        batch_size: windows per forward pass.
        workers: threads that read.
        device: cuda, mps or cpu; chosen if left out.
    """
    import numpy as np

    from vlcore.errors import ConfigurationError
    from vlcore_remote_sensing.cli.model_choice import chosen_model
    from vlcore_remote_sensing.heat_map.polygons import FORMATS, write_polygons
    from vlcore_remote_sensing.scene_model import open_model

    if polygons is not None and polygons.suffix not in FORMATS:  # said before the long work, not after it
        raise ConfigurationError(f"--polygons {polygons}: choose a name that ends in {', '.join(FORMATS)}.")
    heat = open_model(chosen_model(model), device).heatmap(
        scene,
        prompts,
        output,
        bands="auto" if bands == ["auto"] else bands,
        band_names=band_names,
        radiometry=radiometry,
        nodata=nodata,
        crs=crs,
        tile=tile,
        scales=scales,
        dense=dense,
        taper=taper,
        templates=templates,
        least_valid=least_valid,
        on_bad_block=on_bad_block,
        batch_size=batch_size,
        workers=workers,
        progress=True,
    )
    rows, columns = heat.valid.shape
    print(f"{output}: {columns:,} x {rows:,} cells, {100 * float((heat.valid > 0).mean()):.0f} % of them hold anything")
    for prompt, values in zip(heat.prompts, heat.similarity, strict=True):
        place = np.unravel_index(int(np.nanargmax(values)), values.shape)
        x, y = heat.transform * (float(place[1]) + 0.5, float(place[0]) + 0.5)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        print(f"  {prompt!r}: similarity {low:.3f} to {high:.3f}, best at {x:.6g}, {y:.6g}")
    print(f"  windows: {heat.tags['VLCORE_WINDOWS']}; tiles of {heat.tags['VLCORE_TILE_METRES']} m")
    if polygons is not None:
        outlines = heat.to_polygons(percentile)
        write_polygons(outlines, polygons)
        print(f"{polygons}: {len(outlines):,} outlines from the {percentile:g}th percentile on")
    if preview is not None:
        heat.preview(preview)
        print(f"{preview}: the map of {heat.prompts[0]!r} beside the scene")
