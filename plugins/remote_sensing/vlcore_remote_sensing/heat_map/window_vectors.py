"""Every window of a scene through the image tower, once: later prompts only compare vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.data.progress import track
from vlcore.errors import ConfigurationError
from vlcore.files import atomic_write
from vlcore_remote_sensing.heat_map.dense import window_embedder
from vlcore_remote_sensing.heat_map.layout import Layout
from vlcore_remote_sensing.rasters.pixels import OnBadBlock, SceneReader, Window, scene_stretch, tower_image
from vlcore_remote_sensing.rasters.scene import Scene, SceneError
from vlcore_remote_sensing.rasters.stretch import Stretch

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model

_CHUNK = 32  # windows that a thread reads through one handle

_VERSION = 1  # of the files in the cache; another one is not read


@dataclass(frozen=True)
class WindowVectors:
    """What the image tower says of each window of a layout.

    Attributes:
        vectors: `[N, T, D]` of unit norm, T cells of the tower's own grid in each window (1 without `dense`); NaN where
            a window was too empty or could not be read.
        valid: `[rows, columns]`, share of each map cell that holds anything.
        stretch: that the windows were shown with.
        unreadable: windows whose blocks could not be read.
        empty: windows that hold too little.
    """

    vectors: NDArray[np.float32]
    valid: NDArray[np.float32]
    stretch: Stretch
    unreadable: int
    empty: int


def window_vectors(
    model: Model,
    scene: Scene,
    layout: Layout,
    *,
    dense: bool = False,
    least_valid: float = 0.1,
    on_bad_block: OnBadBlock = "raise",
    batch_size: int = 32,
    workers: int = 2,
    progress: bool = False,
    cache: Path | None = None,
) -> WindowVectors:
    """Encode the windows of a scene, or read what an earlier call wrote.

    Args:
        model: whose image tower sees the windows.
        scene: to read.
        layout: windows on it.
        dense: keep one vector per cell of the tower's feature map in place of one per window.
        least_valid: share of a window that must hold anything; emptier windows get no vector.
        on_bad_block: stop at blocks that cannot be read, or leave such windows without a vector, counted.
        batch_size: windows per forward pass.
        workers: threads that read, each through a handle of its own.
        progress: show a bar on standard error.
        cache: folder of earlier results; None keeps nothing.

    Raises:
        ConfigurationError: if an option is out of range.
        SceneError: if the scene is empty, or a block cannot be read and `on_bad_block` is `raise`.
    """
    _check(least_valid, on_bad_block, batch_size, workers)
    key = None if cache is None else scene_key(model, scene, layout, dense, least_valid, on_bad_block)
    place = None if cache is None or key is None else cache / f"{key}.npz"
    if place is not None and place.is_file():
        return _load(place)
    with SceneReader.open(scene) as reader:
        stretch = scene_stretch(reader, on_bad_block)
    valid = _valid_shares(scene, layout, on_bad_block)
    if not valid.any():
        raise SceneError(f"{scene.path} is empty from edge to edge: nodata, masked or NaN. Give another scene.")
    embed = window_embedder(model, dense)
    vectors: NDArray[np.float32] | None = None
    unreadable = empty = row = 0
    pixels = _window_pixels(model, scene, layout.windows, stretch, least_valid, on_bad_block, workers)
    with track(len(layout.windows), "encoding windows", progress) as advance:
        while batch := list(islice(pixels, batch_size)):
            kept = [(row + offset, one) for offset, one in enumerate(batch) if isinstance(one, np.ndarray)]
            reasons = [one for one in batch if isinstance(one, str)]
            unreadable += reasons.count("unreadable")
            empty += reasons.count("empty")
            if kept:
                found = embed(torch.from_numpy(np.stack([one for _, one in kept])))
                if vectors is None:
                    vectors = np.full((len(layout.windows), *found.shape[1:]), np.nan, dtype=np.float32)
                vectors[[number for number, _ in kept]] = found
            row += len(batch)
            advance(len(batch))
    if vectors is None:
        raise SceneError(
            f"{scene.path}: none of the {row} windows could be used, {empty} hold less than "
            f"least_valid={least_valid:g} and {unreadable} cannot be read. Choose a smaller share, or another scene."
        )
    made = WindowVectors(vectors, valid, stretch, unreadable, empty)
    if place is not None:
        _save(place, made)
    return made


def _check(least_valid: float, on_bad_block: str, batch_size: int, workers: int) -> None:
    if not 0 < least_valid <= 1:
        raise ConfigurationError(f"least_valid={least_valid:g}: give a share above 0 and up to 1.")
    if on_bad_block not in ("raise", "skip"):
        raise ConfigurationError(f"on_bad_block={on_bad_block!r}: choose 'raise' or 'skip'.")
    if batch_size < 1 or workers < 1:
        raise ConfigurationError(f"batch_size={batch_size}, workers={workers}: both are 1 or more.")


def _window_pixels(
    model: Model,
    scene: Scene,
    windows: Sequence[Window],
    stretch: Stretch,
    least_valid: float,
    on_bad_block: OnBadBlock,
    workers: int,
) -> Iterator[NDArray[np.uint8] | str]:
    """Yield `[3, H, W]` uint8 of each window in order, or why it has none; a few chunks are read ahead."""

    def read(chunk: Sequence[Window]) -> list[NDArray[np.uint8] | str]:
        # GDAL's handles must stay in their thread; opening one is cheap beside reading a chunk.
        with SceneReader.open(scene) as reader:
            return [one(reader, window) for window in chunk]

    def one(reader: SceneReader, window: Window) -> NDArray[np.uint8] | str:
        try:
            pixels = reader.read(window)
        except SceneError:
            if on_bad_block == "raise":
                raise
            return "unreadable"
        if pixels.valid.mean() < least_valid:
            return "empty"
        return tower_image(pixels, stretch, model.preprocess)

    chunks = (windows[start : start + _CHUNK] for start in range(0, len(windows), _CHUNK))
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Future[list[NDArray[np.uint8] | str]]] = []
        try:
            while True:
                waiting += [pool.submit(read, chunk) for chunk in islice(chunks, 2 * workers - len(waiting))]
                if not waiting:
                    return
                yield from waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _valid_shares(scene: Scene, layout: Layout, on_bad_block: OnBadBlock) -> NDArray[np.float32]:
    """Share of each map cell that holds anything, `[rows, columns]`; what cannot be read holds nothing."""
    across, down = layout.cell
    shares = np.zeros((layout.rows, layout.columns), dtype=np.float32)
    with SceneReader.open(scene) as reader:

        def measure(row: int, first: int, last: int) -> None:
            left, right = first * across, min(last * across, scene.width)
            strip = Window(left, row * down, right - left, min(down, scene.height - row * down))
            valid = reader.read(strip, largest=max(strip.width, strip.height)).valid.mean(axis=0)
            starts = np.arange(0, strip.width, across)
            shares[row, first:last] = np.add.reduceat(valid, starts) / np.diff([*starts, strip.width])

        for row in range(layout.rows):
            try:
                measure(row, 0, layout.columns)
            except SceneError:
                if on_bad_block == "raise":
                    raise
                for column in range(layout.columns):  # find the cells of the strip that can be read
                    with suppress(SceneError):
                        measure(row, column, column + 1)
    return shares


def scene_key(model: Model, scene: Scene, layout: Layout, *options: object) -> str | None:
    """All that the vectors of a scene's windows depend on, as a hash; None for scenes that may change unseen."""
    from vlcore import __version__

    try:
        state = Path(scene.path).stat()
    except OSError:  # remote, or inside an archive
        return None
    parts = {
        "version": [_VERSION, __version__],
        "model": model.fingerprint,
        "file": [str(Path(scene.path).resolve()), state.st_size, state.st_mtime_ns],
        "reading": [str(scene.radiometry), str(scene.shown), str(scene.warp), str(scene.transform)],
        "windows": [list(layout.windows), layout.cell],
        "options": options,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _save(place: Path, made: WindowVectors) -> None:
    with atomic_write(place) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            vectors=made.vectors,
            valid=made.valid,
            stretch=np.array([made.stretch.low, made.stretch.high]),
            counts=np.array([made.unreadable, made.empty]),
        )


def _load(place: Path) -> WindowVectors:
    with np.load(place, allow_pickle=False) as stored:
        low, high = stored["stretch"].tolist()
        unreadable, empty = stored["counts"].tolist()
        return WindowVectors(stored["vectors"], stored["valid"], Stretch(tuple(low), tuple(high)), unreadable, empty)
