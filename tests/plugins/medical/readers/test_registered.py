"""Every registered reader of the plugin, on the fixture tree of its own test file."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.manifest import open_manifest
from vlcore.registry import Registries
from vlcore_medical.plugin import PLUGIN


def _registered() -> Registries:
    registries = Registries()
    PLUGIN.register(registries)
    return registries


def _tests_of(name: str) -> Any:
    path = Path(__file__).parent / f"test_{name.removeprefix('medical/')}.py"
    spec = spec_from_file_location(path.stem, path)
    assert spec and spec.loader, f"{name} has no {path.name}"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", _registered().readers.names())
def test_a_registered_reader_gives_records_whose_images_exist(name: str, tmp_path: Path) -> None:
    entry = _registered().readers.entry(name)
    assert entry.summary and "\n" not in entry.summary and len(entry.summary) < 100
    source = _tests_of(name).tree(tmp_path)
    records = list(entry.load()(source))
    assert records
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.image.path.is_file()
        assert all(text.text.strip() and text.kind and text.lang for text in record.texts)
        assert record.split in (None, "train", "val", "test")
    manifest = open_manifest(source, reader=name)  # which also proves that labels and meta can be written as JSON
    assert len(manifest) == len(records)


@pytest.mark.parametrize("name", _registered().readers.names())
def test_the_fingerprint_of_a_reader_does_not_depend_on_where_the_data_set_stands(name: str, tmp_path: Path) -> None:
    fingerprints = []
    for place in ("here", "there"):
        folder = tmp_path / place
        folder.mkdir()
        fingerprints.append(open_manifest(_tests_of(name).tree(folder), reader=name).fingerprint())
    assert fingerprints[0] == fingerprints[1]
