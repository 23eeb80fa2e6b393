"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries


def register(registries: Registries) -> None:
    """Register readers, prompt sets and commands, by reference."""
    registries.readers.register(
        "remote_sensing/karpathy",
        "vlcore_remote_sensing.readers.karpathy:read_karpathy",
        summary="captioned tiles in the layout of RSICD, UCM-Captions and Sydney-Captions",
    )
    registries.prompts.register(
        "remote_sensing/aerial",
        "vlcore_remote_sensing.prompts:AERIAL",
        summary="sentences about scenes seen from above",
    )
    registries.commands.register(
        "remote-sensing/heatmap",
        "vlcore_remote_sensing.cli.heatmap:heatmap",
        summary="map how well each place of a scene fits your words",
    )
    registries.commands.register(
        "remote-sensing/index",
        "vlcore_remote_sensing.cli.index:index",
        summary="make the tiles of your scenes searchable",
    )
    registries.commands.register(
        "remote-sensing/search",
        "vlcore_remote_sensing.cli.search:search",
        summary="find tiles of your scenes by words or by an example",
    )


PLUGIN = Plugin(
    name="remote_sensing",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("rasterio", "geopandas"),
    extra="remote_sensing",
    summary="aerial and satellite scenes",
)
