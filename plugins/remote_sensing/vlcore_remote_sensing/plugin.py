"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries


def register(registries: Registries) -> None:
    """Register readers and prompt sets, by reference."""
    registries.readers.register(
        "remote_sensing/karpathy",
        "vlcore_remote_sensing.karpathy:read_karpathy",
        summary="captioned tiles in the layout of RSICD, UCM-Captions and Sydney-Captions",
    )
    registries.prompts.register(
        "remote_sensing/aerial",
        "vlcore_remote_sensing.prompts:AERIAL",
        summary="sentences about scenes seen from above",
    )


PLUGIN = Plugin(
    name="remote_sensing",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("rasterio",),
    extra="remote_sensing",
    summary="aerial and satellite scenes",
)
