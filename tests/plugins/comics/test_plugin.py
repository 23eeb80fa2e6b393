"""What the comics plugin registers."""

from __future__ import annotations

from vlcore.registry import Registries
from vlcore_comics.plugin import PLUGIN


def test_everything_registered_loads() -> None:
    registries = Registries()
    PLUGIN.register(registries)
    assert registries.readers.get("comics/peppercarrot").__name__ == "read_peppercarrot"
