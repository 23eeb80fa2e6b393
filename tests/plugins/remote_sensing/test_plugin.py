"""What the remote sensing plugin registers."""

from __future__ import annotations

from vlcore.registry import Registries
from vlcore_remote_sensing.plugin import PLUGIN


def test_everything_registered_loads() -> None:
    registries = Registries()
    PLUGIN.register(registries)
    for registry in registries.all().values():
        for name, entry in registry.entries().items():
            assert entry.load() is not None, name
            assert entry.summary, name
    assert registries.readers.get("remote_sensing/karpathy").__name__ == "read_karpathy"
    prompts = registries.prompts.get("remote_sensing/aerial")
    assert prompts.name == "remote_sensing/aerial"
    assert "a satellite image of a harbour" in prompts.fill("a harbour")
    assert registries.tasks.get("remote_sensing/rs_m_clip").__name__ == "RSMClipTask"
    assert registries.commands.get("remote-sensing/interpolate").__name__ == "interpolate"
    assert registries.tasks.get("remote_sensing/semantic_experts").__name__ == "SemanticExpertTask"
