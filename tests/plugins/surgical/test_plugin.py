"""What the surgical plugin registers."""

from __future__ import annotations

from vlcore.registry import Registries
from vlcore_surgical.plugin import PLUGIN


def test_everything_registered_loads() -> None:
    registries = Registries()
    PLUGIN.register(registries)
    assert registries.readers.get("surgical/cholect50").__name__ == "read_cholect50"
