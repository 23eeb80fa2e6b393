"""Which scenes a folder or a catalogue holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vlcore.errors import ConfigurationError, ManifestError, Problem, VlcoreError
from vlcore.files import safe_name, write_text
from vlcore_remote_sensing.rasters.scene import Scene
from vlcore_remote_sensing.scene_index.stac import is_stac, item_stack, stac_items

if TYPE_CHECKING:
    import pystac

ENDINGS = (".tif", ".tiff", ".jp2", ".vrt")
"""Files of a folder that are taken for scenes."""


@dataclass(frozen=True)
class FoundScenes:
    """What was found.

    Attributes:
        scenes: by their id: path within the folder, or id of the STAC item.
        refused: why each other one was left out.
    """

    scenes: dict[str, Scene]
    refused: tuple[Problem, ...]


def find_scenes(
    source: str,
    stacks: Path,
    opened: Callable[[str], Scene],
    *,
    on_bad_scene: str = "raise",
    bbox: Sequence[float] | None = None,
    dates: tuple[str | None, str | None] = (None, None),
    collections: Sequence[str] | None = None,
) -> FoundScenes:
    """Open every scene of a source; what is wrong with any is told together, before long work begins.

    Args:
        source: folder with rasters at any depth, one raster, or a STAC catalogue, collection, item or API.
        stacks: folder for the virtual rasters of STAC items.
        opened: opens a scene by its path (`open_scene` with its options).
        on_bad_scene: `raise`, or `skip` to leave out what cannot be used, and name it in the result.
        bbox: of the items of a catalogue.
        dates: likewise.
        collections: likewise.

    Raises:
        ManifestError: listing the scenes that cannot be used, if `on_bad_scene` is `raise`.
        ConfigurationError: if there are no scenes.
    """
    if on_bad_scene not in ("raise", "skip"):
        raise ConfigurationError(f"on_bad_scene={on_bad_scene!r}: choose 'raise' or 'skip'.")
    candidates: Iterable[tuple[str, Callable[[], str]]]
    scenes: dict[str, Scene] = {}
    problems: list[Problem] = []
    if is_stac(source):
        items = stac_items(source, bbox, dates, collections)
        candidates = ((_item_name(item), partial(_stack, item, stacks)) for item in items)
    else:
        candidates = ((name, partial(str, path)) for name, path in _rasters(source))
    for name, path_of in candidates:
        try:
            if name in scenes:
                raise ConfigurationError("comes twice. Give each item an id of its own.")
            scenes[name] = opened(path_of())
        except VlcoreError as error:
            problems.append(problem_of(name, error))
    if problems and on_bad_scene == "raise":
        raise ManifestError(source, problems)
    if not scenes:
        raise ConfigurationError(f"{source} holds no scene that can be used ({len(problems)} refused).")
    return FoundScenes(scenes, tuple(problems))


def problem_of(name: str, error: VlcoreError) -> Problem:
    """What is wrong with a scene; its name need not be said twice."""
    return Problem(name, re.sub(rf"^\S*{re.escape(name)}(?:: | )", "", str(error)))


def _item_name(item: pystac.Item) -> str:
    return f"{item.collection_id}/{item.id}" if item.collection_id else item.id


def _stack(item: pystac.Item, folder: Path) -> str:
    """Path of an item's virtual raster."""
    path, text = folder / f"{safe_name(_item_name(item))}.vrt", item_stack(item)
    # Unchanged text keeps its file, whose time tells whether its scene has changed.
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path)


def _rasters(source: str) -> list[tuple[str, str]]:
    """Names and paths of the rasters of a folder, sorted; a file is its own only one."""
    folder = Path(source)
    if not folder.is_dir():
        return [(folder.name, source)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not paths:
        raise ConfigurationError(f"{source} holds no rasters ({', '.join(ENDINGS)}). Give the folder of your scenes.")
    return [(path.relative_to(folder).as_posix(), str(path)) for path in paths]
