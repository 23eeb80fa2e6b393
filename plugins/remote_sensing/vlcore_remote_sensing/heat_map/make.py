"""From a scene and words to a map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlcore.data.feature_store import default_cache_root
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.heat_map.blend import blend
from vlcore_remote_sensing.heat_map.dense import parts_of
from vlcore_remote_sensing.heat_map.heat_map import HeatMap
from vlcore_remote_sensing.heat_map.layout import SCALES, Layout, lay_out
from vlcore_remote_sensing.heat_map.prompts import prompt_vectors
from vlcore_remote_sensing.heat_map.window_vectors import WindowVectors, window_vectors
from vlcore_remote_sensing.rasters.pixels import OnBadBlock, Window
from vlcore_remote_sensing.rasters.scene import Scene

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model


def heat_map(
    model: Model,
    scene: Scene,
    prompts: Sequence[str] | str,
    *,
    tile: float | None = None,
    scales: Sequence[float] = SCALES,
    dense: bool = False,
    taper: bool = True,
    templates: str = "plain",
    least_valid: float = 0.1,
    on_bad_block: OnBadBlock = "raise",
    batch_size: int = 32,
    workers: int = 2,
    progress: bool = False,
    cache: Path | str | None = "default",
) -> HeatMap:
    """Tell how well each place of a scene fits each prompt.

    Windows of several sizes, overlapping by half, are compared with the prompts and averaged where they lie over each
    other (Z. Yuan et al., arXiv 2209.06515). The vectors of the windows are kept, so that other prompts answer at
    once. The values do not depend on batch size or workers, beyond rounding.

    Args:
        model: aligned towers.
        scene: from `open_scene`.
        prompts: words, one map for each.
        tile: ground size in metres of the smallest windows; chosen from the scene's pixels if left out.
        scales: sides of the windows in tiles.
        dense: compare each cell of the tower's feature map in place of each window: finer, rougher.
        taper: count windows less towards their edges, which gives smoother maps; otherwise SeLo's plain average.
        templates: prompt set whose sentences the words are put into.
        least_valid: share of a window that must hold anything; emptier ones do not count.
        on_bad_block: stop at blocks that cannot be read, or leave such places empty, counted in the tags.
        batch_size: windows per forward pass.
        workers: threads that read.
        progress: show a bar on standard error.
        cache: folder of window vectors; `default` is a folder of `$VLCORE_CACHE`, None keeps nothing.

    Raises:
        ConfigurationError: if an option or a prompt cannot be used.
        SceneError: if the scene is empty or cannot be read.
    """
    words = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    if not words:
        raise ConfigurationError("Give at least one prompt.")
    texts = prompt_vectors(model, words, templates)
    layout = lay_out(scene, min(model.preprocess.size), tile, scales)
    folder = default_cache_root() / "remote_sensing" if cache == "default" else cache
    found = window_vectors(
        model,
        scene,
        layout,
        dense=dense,
        least_valid=least_valid,
        on_bad_block=on_bad_block,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        cache=None if folder is None else Path(folder),
    )
    windows, scores = _scored(layout, found, texts)
    similarity = blend(layout, windows, scores, taper=taper)
    similarity[:, found.valid == 0] = np.nan
    return HeatMap(
        prompts=words,
        similarity=similarity,
        valid=found.valid,
        crs=scene.crs,
        transform=layout.transform(scene),
        scene=scene,
        stretch=found.stretch,
        tags=_tags(model, scene, words, layout, found, dense=dense, taper=taper, templates=templates),
    )


def _scored(
    layout: Layout, found: WindowVectors, texts: NDArray[np.float32]
) -> tuple[Sequence[Window], NDArray[np.float32]]:
    """Windows, or parts of windows, with their cosines `[N, P]`."""
    scores = found.vectors @ texts.T  # [N, T, P]
    cells = scores.shape[1]
    if cells == 1:
        return layout.windows, scores[:, 0]
    parts = [part for window in layout.windows for part in parts_of(window, cells)]
    return parts, scores.reshape(-1, scores.shape[2])


def _tags(
    model: Model,
    scene: Scene,
    prompts: tuple[str, ...],
    layout: Layout,
    found: WindowVectors,
    *,
    dense: bool,
    taper: bool,
    templates: str,
) -> dict[str, str]:
    """How the map was made, as the tags of its file; names begin with `VLCORE_`."""
    from vlcore import __version__

    network = model.network
    facts = {
        "VERSION": __version__,
        "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
        "MODEL": str(model.path or (model.card.name if model.card else "unnamed")),
        "FINGERPRINT": model.fingerprint,
        "MODEL_LICENCES": json.dumps(
            {encoder.source: encoder.licence for encoder in (network.image_encoder, network.text_encoder)}
        ),
        "PROMPTS": json.dumps(prompts, ensure_ascii=False),
        "TEMPLATES": templates,
        "SCENE": scene.path,
        "SCENE_DATE": scene.date or "unknown",
        "SCENE_LICENCE": scene.licence or "unknown",
        "BANDS": ", ".join(map(str, scene.shown)),
        "RADIOMETRY": f"{scene.radiometry.name}: value * {scene.radiometry.scale:g} + {scene.radiometry.offset:g}",
        "STRETCH": json.dumps([found.stretch.low, found.stretch.high]),
        "PIXEL_SIZE_METRES": json.dumps([round(size, 6) for size in scene.pixel_size]),
        "TILE_METRES": f"{layout.tile:.6g}",
        "SCALES": json.dumps(layout.scales),
        "BLENDING": "squared sine" if taper else "mean",
        "DENSE": str(dense).lower(),
        "WINDOWS": json.dumps({"all": len(layout.windows), "too_empty": found.empty, "unreadable": found.unreadable}),
    }
    return {f"VLCORE_{name}": value for name, value in facts.items()}
