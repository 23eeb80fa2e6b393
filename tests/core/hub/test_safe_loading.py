"""Which packages a model directory may name, by the plugins that are installed and in use."""

from dataclasses import dataclass

import pytest

from vlcore.errors import ModelDirectoryError
from vlcore.heads.base import Head
from vlcore.heads.linear import LinearHead
from vlcore.hub import safe_loading

# Taken before the folder's conftest replaces it.
REAL = safe_loading.allowed_packages


@dataclass
class Point:
    name: str
    module: str


@dataclass
class Status:
    name: str
    state: str


def test_only_vlcore_and_plugins_in_use(monkeypatch):
    points = [
        Point("geology", "vlcore_geology.plugin"),
        Point("single", "one_module"),
        Point("deep", "company.vision.plugin"),
        Point("broken", "vlcore_broken.plugin"),
        Point("off", "vlcore_off.plugin"),
        Point("lacking", "vlcore_lacking.plugin"),
    ]
    states = [
        Status("geology", "ok"),
        Status("single", "ok"),
        Status("deep", "ok"),
        Status("broken", "broken"),
        Status("off", "disabled"),
        Status("lacking", "needs extra"),
    ]
    monkeypatch.setattr(safe_loading, "entry_points", lambda group: points if group == "vlcore.plugins" else [])
    monkeypatch.setattr(safe_loading, "load_plugins", lambda: states)
    assert REAL() == {"vlcore", "vlcore_geology", "one_module", "company.vision", "vlcore_lacking"}


@pytest.mark.parametrize(
    "path", ["company.audio.Head", "company.vision2.Head", "vlcore_off.heads.Head", "vlcorelike.heads.Head"]
)
def test_neighbours_of_an_allowed_package_are_refused_without_an_import(monkeypatch, path):
    monkeypatch.setattr(safe_loading, "allowed_packages", lambda: {"vlcore", "company.vision"})
    monkeypatch.setattr(safe_loading, "import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(ModelDirectoryError, match="was not imported"):
        safe_loading.resolve_class(path, Head, "here")


def test_a_core_class_resolves_with_the_plugins_that_are_installed_here():
    assert "vlcore" in REAL()
    assert safe_loading.resolve_class("vlcore.heads.linear.LinearHead", Head, "here") is LinearHead
