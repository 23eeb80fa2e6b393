"""Aerial and satellite images for vlcore.

In a notebook:

    import vlcore_remote_sensing as remote_sensing

    model = remote_sensing.open_model("runs/rsicd/model")
    model.heatmap("scene.tif", "solar farm beside a road").show()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcore_remote_sensing.rasters.scene import Scene, open_scene
    from vlcore_remote_sensing.scene_model import SceneModel, open_model

_PLACES = {
    "Scene": "rasters.scene",
    "SceneModel": "scene_model",
    "open_model": "scene_model",
    "open_scene": "rasters.scene",
}

__all__ = ["Scene", "SceneModel", "open_model", "open_scene"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the plugin is listed, and its commands, without torch.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
