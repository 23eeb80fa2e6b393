"""vlcore: search, classify and evaluate images of your domain by words.

Importing this package is cheap and pulls in no torch: names load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcore.data.record import ImageRef, Record, Text
    from vlcore.errors import VlcoreError
    from vlcore.plugins import PLUGIN_API_VERSION, Plugin
    from vlcore.registry import Registry
    from vlcore.retrieval.index import Index
    from vlcore.retrieval.model import Model, load

__version__ = "0.1.0"

_HOMES = {
    "ImageRef": "vlcore.data.record",
    "Index": "vlcore.retrieval.index",
    "Model": "vlcore.retrieval.model",
    "PLUGIN_API_VERSION": "vlcore.plugins",
    "Plugin": "vlcore.plugins",
    "Record": "vlcore.data.record",
    "Registry": "vlcore.registry",
    "Text": "vlcore.data.record",
    "VlcoreError": "vlcore.errors",
    "load": "vlcore.retrieval.model",
}

__all__ = [
    "PLUGIN_API_VERSION",
    "ImageRef",
    "Index",
    "Model",
    "Plugin",
    "Record",
    "Registry",
    "Text",
    "VlcoreError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vlcore' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
