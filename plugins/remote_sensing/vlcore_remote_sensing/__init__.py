"""Aerial and satellite images for vlcore.

In a notebook:

    import vlcore_remote_sensing as remote_sensing

    model = remote_sensing.open_model("runs/rsicd/model")
    model.heatmap("scene.tif", "solar farm beside a road").show()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcore_remote_sensing.scene_model import SceneModel, open_model

__all__ = ["SceneModel", "open_model"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the plugin is listed, and its commands, without torch.
    if name in __all__:
        from vlcore_remote_sensing import scene_model

        return getattr(scene_model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
