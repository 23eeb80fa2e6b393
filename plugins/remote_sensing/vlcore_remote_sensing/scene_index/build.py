"""From scenes to an index of their tiles; unchanged scenes are not read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from shapely.geometry import shape

from vlcore.data.progress import track
from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError, Problem
from vlcore.files import write_text
from vlcore.retrieval.index import Index
from vlcore.retrieval.index_state import is_finished
from vlcore.retrieval.rows import embedded_table
from vlcore_remote_sensing.heat_map.layout import Layout, lay_out
from vlcore_remote_sensing.heat_map.window_vectors import WindowVectors, scene_key, window_vectors
from vlcore_remote_sensing.rasters.pixels import OnBadBlock, Window
from vlcore_remote_sensing.rasters.radiometry import RadiometryName
from vlcore_remote_sensing.rasters.scene import Scene, SceneError, open_scene
from vlcore_remote_sensing.scene_index.find import find_scenes, problem_of

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model

STATE = "scenes.json"
"""File of an index that tells which scenes are in it, as they were."""

STACKS = "stac"
"""Folder of an index with the virtual rasters of STAC items."""


@dataclass
class SceneReport:
    """What became of the scenes.

    Attributes:
        new: scenes that were not in the index.
        changed: scenes that were read again.
        unchanged: scenes that were left alone.
        tiles: that were encoded.
        too_empty: tiles that hold too little.
        unreadable: tiles whose blocks cannot be read.
        refused: scenes that cannot be used, and why.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    tiles: int = 0
    too_empty: int = 0
    unreadable: int = 0
    refused: list[Problem] = field(default_factory=list)


def index_scenes(
    model: Model,
    source: Path | str,
    path: Path | str,
    *,
    tile: float | None = None,
    bands: Sequence[str] | str = "auto",
    band_names: Sequence[str] | None = None,
    radiometry: RadiometryName = "auto",
    nodata: float | None = None,
    crs: str | None = None,
    least_valid: float = 0.1,
    on_bad_scene: str = "raise",
    on_bad_block: OnBadBlock = "raise",
    bbox: Sequence[float] | None = None,
    dates: tuple[str | None, str | None] = (None, None),
    collections: Sequence[str] | None = None,
    batch_size: int = 32,
    workers: int = 2,
    progress: bool = False,
) -> tuple[Index, SceneReport]:
    """Cut scenes into tiles, encode them and put them into an index, or bring the index up to date.

    Tiles lie side by side on each scene's own grid; the last ones are drawn in to end at its edge. Each is a row with
    its outline in longitude and latitude, its date and the share that holds anything. Interrupted, run it again: it
    goes on with the first scene that is not finished.

    Args:
        model: gives the vectors; must be the one that made the index.
        source: folder with rasters at any depth, one raster, or a STAC catalogue, collection, item or API.
        path: folder of the index.
        tile: ground size of the tiles in metres; of each scene's own pixels if left out.
        bands: as for `open_scene`, like all up to `crs`.
        band_names: what the files' bands are, in order.
        radiometry: what the stored numbers are.
        nodata: stored value of empty pixels.
        crs: reference system.
        least_valid: share of a tile that must hold anything.
        on_bad_scene: stop at scenes that cannot be used, before anything is encoded, or leave them out, counted.
        on_bad_block: stop at blocks that cannot be read, or leave out their tiles, counted.
        bbox: west, south, east, north of the items of a catalogue.
        dates: first and last day of the items of a catalogue.
        collections: of a catalogue.
        batch_size: tiles per forward pass.
        workers: threads that read.
        progress: show a bar on standard error.

    Raises:
        FingerprintMismatchError: if the index was made by another model.
        ManifestError: listing the scenes that cannot be used.
        SceneError: if a block cannot be read.
    """
    path = Path(path)

    def opened(place: str) -> Scene:
        return open_scene(place, bands=bands, band_names=band_names, radiometry=radiometry, nodata=nodata, crs=crs)

    found = find_scenes(
        str(source),
        path / STACKS,
        opened,
        on_bad_scene=on_bad_scene,
        bbox=bbox,
        dates=dates,
        collections=collections,
    )
    index = (
        Index.open(path, model)
        if is_finished(path)
        else Index.begin(path, fingerprint=model.fingerprint, width=model.embedding_size, model_path=model.path)
    )
    known = read_state(path)
    report = SceneReport(refused=list(found.refused))
    with track(len(found.scenes), "indexing scenes", progress) as advance:
        for name, scene in found.scenes.items():
            layout = lay_out(scene, min(model.preprocess.size), tile, scales=(1.0,), moved=False)
            key = scene_key(model, scene, layout, least_valid, on_bad_block)
            if key is not None and known.get(name) == key:
                report.unchanged += 1
                advance(1)
                continue
            try:
                vectors = window_vectors(
                    model,
                    scene,
                    layout,
                    least_valid=least_valid,
                    on_bad_block=on_bad_block,
                    batch_size=batch_size,
                    workers=workers,
                )
            except SceneError as error:
                if on_bad_scene == "raise":
                    raise
                report.refused.append(problem_of(name, error))
                advance(1)
                continue
            if name in known:
                index.remove(f"scene = '{_quoted(name)}'")
            _add(index, name, scene, layout, vectors, key)
            report.new, report.changed = report.new + (name not in known), report.changed + (name in known)
            report.tiles += len(layout.windows) - vectors.empty - vectors.unreadable
            report.too_empty += vectors.empty
            report.unreadable += vectors.unreadable
            known[name] = key or ""
            write_text(path / STATE, json.dumps(known, indent=1, ensure_ascii=False))
            advance(1)
    index.finish()
    return index, report


def read_state(path: Path) -> dict[str, str]:
    """Keys of the scenes of an index by their names; empty where there is none yet.

    Raises:
        ConfigurationError: if the index holds something else than scenes.
    """
    place = path / STATE
    if not place.is_file():
        if is_finished(path):
            raise ConfigurationError(
                f"{path} is an index of images, not of scenes. `vlcore remote-sensing index SOURCE -o DIR` makes one."
            )
        return {}
    state: dict[str, str] = json.loads(place.read_text(encoding="utf-8"))
    return state


def _add(index: Index, name: str, scene: Scene, layout: Layout, vectors: WindowVectors, key: str | None) -> None:
    records, rows, contents = [], [], []
    for window, row in zip(layout.windows, vectors.vectors[:, 0], strict=True):
        if np.isnan(row).any():
            continue
        records.append(tile_record(name, scene, layout, window, vectors))
        rows.append(row)
        contents.append(hashlib.sha256(f"{key}{window}".encode()).digest())
    index.add(embedded_table(records, np.stack(rows), contents, index.width))


def tile_record(name: str, scene: Scene, layout: Layout, window: Window, vectors: WindowVectors) -> Record:
    """One tile with what can be asked of it: scene, date, place, share that holds anything."""
    outline = shape(scene.footprint(*window))
    west, south, east, north = outline.bounds
    if len(getattr(outline, "geoms", ())) == 2:  # over the date line: its western edge lies east of its eastern one
        west, east = max(part.bounds[0] for part in outline.geoms), min(part.bounds[2] for part in outline.geoms)
    across, down = layout.cell
    cells = vectors.valid[
        window.row // down : -(-(window.row + window.height) // down),
        window.column // across : -(-(window.column + window.width) // across),
    ]
    meta = {
        "scene": name,
        "date": scene.date,
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "pixel_size": float(max(scene.pixel_size)),
        "valid_fraction": float(cells.mean()),
        "crs": scene.crs.to_string(),
        "outline": outline.wkt,
    }
    return Record(
        id=f"{name}#{','.join(map(str, window))}",
        image=ImageRef(Path(scene.path), window=(window.column, window.row, window.width, window.height)),
        group=name,
        meta=meta,
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
