"""What holds for every registered reader of the plugin."""

from __future__ import annotations

import json
import warnings

import pytest
from reader_trees import TREES

from vlcore.data.reader_manifest import ReaderManifest
from vlcore.data.source import read_bytes
from vlcore.errors import VlcoreError
from vlcore.registry import Registries
from vlcore_remote_sensing.plugin import PLUGIN

READERS = Registries()
PLUGIN.register(READERS)
NAMES = READERS.readers.names()


def test_each_has_a_tree_and_a_summary():
    assert {name.removeprefix("remote_sensing/") for name in NAMES} == TREES.keys()
    assert all(READERS.readers.entry(name).summary for name in NAMES)


@pytest.mark.parametrize("name", sorted(TREES))
def test_records_have_images_that_exist_and_plain_values(name, tmp_path):
    path = TREES[name](tmp_path)
    with warnings.catch_warnings(record=True):
        records = READERS.readers.get(f"remote_sensing/{name}")(path)
    assert records
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert read_bytes(record.image)
        assert all(text.text == text.text.strip() and text.text for text in record.texts)
        assert json.dumps([record.labels, record.meta])


@pytest.mark.parametrize("name", sorted(TREES))
def test_the_fingerprint_does_not_depend_on_where_the_tree_stands(name, tmp_path):
    path = TREES[name](tmp_path / "here")
    moved = tmp_path / "there" / path.relative_to(tmp_path / "here")
    with warnings.catch_warnings(record=True):
        before = ReaderManifest(path, f"remote_sensing/{name}", None, None).fingerprint()
        (tmp_path / "here").rename(tmp_path / "there")
        assert ReaderManifest(moved, f"remote_sensing/{name}", None, None).fingerprint() == before


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_source_that_is_not_there_is_an_error_with_its_path(name, tmp_path):
    with pytest.raises(VlcoreError, match="nowhere"):
        READERS.readers.get(f"remote_sensing/{name}")(tmp_path / "nowhere")
