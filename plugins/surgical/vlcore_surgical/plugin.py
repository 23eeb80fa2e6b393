"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries


def register(registries: Registries) -> None:
    """Register readers, by reference."""
    registries.readers.register(
        "surgical/cholect50",
        "vlcore_surgical.cholect50:read_cholect50",
        summary="frames of gallbladder surgery with action triplets as sentences, grouped by video",
    )


PLUGIN = Plugin(
    name="surgical",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("av",),
    extra="surgical",
    summary="surgical video: actions and phases",
)
