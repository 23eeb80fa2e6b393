"""`vlcore remote-sensing search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def search(
    index: Path,
    query: str,
    k: int = 10,
    bbox: list[float] | None = None,
    since: str | None = None,
    until: str | None = None,
    where: str | None = None,
    output: Path | None = None,
    sheet: Path | None = None,
    model: Path | None = None,
    bands: list[str] = ["auto"],  # noqa: B006 (read only)
    band_names: list[str] | None = None,
    device: str | None = None,
) -> None:
    """Find tiles of your scenes by words, or by an example.

    Examples:
        vlcore remote-sensing search scenes.index "a harbour with ships" -k 5 -o hits.gpkg --sheet hits.png
        vlcore remote-sensing search scenes.index "a lake" --bbox -75 -9 -74 -8 --since 2020-01-01
        vlcore remote-sensing search scenes.index example.tif --where "valid_fraction > 0.9"

    Args:
        index: folder that `vlcore remote-sensing index` wrote.
        query: words, or a file to search by: a small raster or a picture.
        k: number of tiles.
        bbox: west, south, east, north in degrees that tiles must touch.
        since: first day, YYYY-MM-DD; tiles without a date are left out.
        until: last day.
        where: SQL condition over the index's columns.
        output: outlines to write (.gpkg, .geojson or .parquet).
        sheet: PNG to write with the tiles side by side.
        model: model directory; the one the index was made with if left out.
        bands: of a raster to search by, and of the sheet, where it is not red, green and blue.
        band_names: what the bands of a raster to search by, and of the scenes on the sheet, are, in order.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.errors import ConfigurationError
    from vlcore.retrieval.index import Index
    from vlcore.retrieval.model import load
    from vlcore_remote_sensing.heat_map.polygons import FORMATS, write_polygons
    from vlcore_remote_sensing.scene_index.search import SceneIndex
    from vlcore_remote_sensing.scene_index.sheet import write_sheet

    if output is not None and output.suffix not in FORMATS:
        raise ConfigurationError(f"--output {output}: choose a name that ends in {', '.join(FORMATS)}.")
    reading: dict[str, Any] = {"bands": "auto" if bands == ["auto"] else bands, "band_names": band_names}
    loaded = load(Index.open(index).require_model_path() if model is None else model, device)
    scenes = SceneIndex(index, loaded)
    vector = scenes.example(query, **reading) if Path(query).is_file() else query
    hits = scenes.search(vector, k, bbox=bbox, dates=(since, until), where=where)
    _print(hits, query)
    if output is not None:
        write_polygons(hits, output)
        print(f"{output}: {len(hits)} outlines")
    if sheet is not None:
        write_sheet(hits, sheet, query, **reading)
        print(f"{sheet}: the tiles side by side")


def _print(hits: GeoDataFrame, query: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"Nearest to {query}"), title_justify="left")
    for name in ("", "score", "scene", "date", "longitude", "latitude", "holds"):
        table.add_column(name, justify="left" if name in ("scene", "date") else "right", overflow="fold")
    for hit in hits.itertuples():
        place = hit.geometry.representative_point()
        cells = (
            str(hit.rank),
            f"{hit.score:.3f}",
            str(hit.scene),
            str(hit.date or ""),
            f"{place.x:.5f}",
            f"{place.y:.5f}",
            f"{100 * hit.valid_fraction:.0f} %",
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
