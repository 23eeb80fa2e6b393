"""`vlcore remote-sensing index`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def index(
    source: str,
    output: Path,
    model: Path | None = None,
    tile: float | None = None,
    bands: list[str] = ["auto"],  # noqa: B006 (read only)
    band_names: list[str] | None = None,
    radiometry: Literal["auto", "stored", "sentinel-2", "sentinel-2-harmonised"] = "auto",
    nodata: float | None = None,
    crs: str | None = None,
    least_valid: float = 0.1,
    on_bad_scene: Literal["raise", "skip"] = "raise",
    on_bad_block: Literal["raise", "skip"] = "raise",
    bbox: list[float] | None = None,
    since: str | None = None,
    until: str | None = None,
    collections: list[str] | None = None,
    parquet: Path | None = None,
    batch_size: int = 32,
    workers: int = 2,
    device: str | None = None,
) -> None:
    """Make the tiles of your scenes searchable, or bring their index up to date.

    Scenes that have not changed are not read again. Interrupted, run it again: it goes on where it stopped.

    Examples:
        vlcore remote-sensing index scenes/ -o scenes.index --model runs/rsicd/model --on-bad-scene skip
        vlcore remote-sensing index catalog.json -o scenes.index --tile 640 --since 2024-04-01 --until 2024-09-30
        vlcore remote-sensing index https://stac.example.org -o s2.index --collections sentinel-2-l2a --bbox 9 45 10 46

    Args:
        source: folder with rasters at any depth, one raster, or a STAC catalogue, collection, item or API.
        output: folder of the index.
        model: model directory; the one that VLCORE_MODEL names if left out.
        tile: ground size of the tiles in metres; chosen from each scene's pixels if left out.
        bands: three shown as red, green and blue, or one in grey; by name, common name or wavelength.
        band_names: what the files' bands are, in order, where they do not say.
        radiometry: what the stored numbers are.
        nodata: stored value of empty pixels, in place of the files'.
        crs: coordinate reference system, in place of the files'.
        least_valid: share of a tile that must hold anything.
        on_bad_scene: stop at scenes that cannot be used, listing all of them, or leave them out, counted.
        on_bad_block: stop at blocks that cannot be read, or leave out their tiles, counted.
        bbox: west, south, east, north in degrees of the items of a catalogue.
        since: first day of the items of a catalogue, YYYY-MM-DD.
        until: last day of the items of a catalogue.
        collections: of a catalogue.
        parquet: GeoParquet to write of all tiles with their outlines and vectors.
        batch_size: tiles per forward pass.
        workers: threads that read.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.retrieval.model import load
    from vlcore_remote_sensing.cli.model_choice import chosen_model
    from vlcore_remote_sensing.scene_index.build import index_scenes
    from vlcore_remote_sensing.scene_index.search import SceneIndex

    loaded = load(chosen_model(model), device)
    made, report = index_scenes(
        loaded,
        source,
        output,
        tile=tile,
        bands="auto" if bands == ["auto"] else bands,
        band_names=band_names,
        radiometry=radiometry,
        nodata=nodata,
        crs=crs,
        least_valid=least_valid,
        on_bad_scene=on_bad_scene,
        on_bad_block=on_bad_block,
        bbox=bbox,
        dates=(since, until),
        collections=collections,
        batch_size=batch_size,
        workers=workers,
        progress=True,
    )
    for problem in report.refused:
        print(f"left out: {problem}", file=sys.stderr)
    print(
        f"{output}: {len(made):,} tiles; scenes: {report.new:,} new, {report.changed:,} changed, {report.unchanged:,} "
        f"unchanged, {len(report.refused):,} left out; tiles left out: {report.too_empty:,} too empty, "
        f"{report.unreadable:,} unreadable"
    )
    if parquet is not None:
        SceneIndex(output, loaded).to_geoparquet(parquet)
        print(f"{parquet}: outlines and vectors")
