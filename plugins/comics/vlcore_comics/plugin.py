"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries


def register(registries: Registries) -> None:
    """Register readers, by reference."""
    registries.readers.register(
        "comics/peppercarrot",
        "vlcore_comics.peppercarrot:read_peppercarrot",
        summary="pages of Pepper&Carrot with what is said on them, in 13 languages, grouped by episode",
    )


PLUGIN = Plugin(
    name="comics",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("shapely",),
    extra="comics",
    summary="comic pages, balloons and their words",
)
