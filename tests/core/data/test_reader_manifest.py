import json
from dataclasses import replace
from typing import Literal

import pytest

from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError, ManifestError, UnknownNameError
from vlcore.plugins import registries


def read_colours(path, image_root=None):
    """A layout of its own: one object, from image to its texts in two languages."""
    root = image_root or path.parent
    return [
        Record(name, ImageRef(root / name), (Text(text, "en"), Text("Farbe", "de")), split=split)
        for name, (text, split) in json.loads(path.read_text()).items()
    ]


@pytest.fixture
def layout(tiny_manifest, monkeypatch):
    readers = registries().readers
    if "colours/layout" not in readers:
        readers.register("colours/layout", read_colours)
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    path = tiny_manifest.parent / "layout.json"
    path.write_text(json.dumps({row["image"]: (row["texts"][0], row["split"]) for row in rows}))
    return path


def test_records_come_from_the_reader(layout):
    manifest = open_manifest(layout, reader="colours/layout")
    assert (len(manifest), manifest.format, manifest.languages) == (12, "colours/layout", {"en": 12, "de": 12})
    assert [record.id for record in manifest] == [record.id for record in manifest]
    english = open_manifest(layout, reader="colours/layout", lang="en")
    assert english.texts_dropped == 12 and all(len(record.texts) == 1 for record in english)
    assert english.fingerprint() != manifest.fingerprint()
    assert manifest.fingerprint() == open_manifest(layout, reader="colours/layout").fingerprint()


def test_the_fingerprint_does_not_depend_on_where_the_folder_stands(layout, tmp_path):
    before = open_manifest(layout, reader="colours/layout").fingerprint()
    moved = layout.parent.rename(tmp_path / "moved")
    assert open_manifest(moved / layout.name, reader="colours/layout").fingerprint() == before


def test_mistakes_are_named(layout):
    with pytest.raises(UnknownNameError, match=r"no reader named 'colour/layout'\. Did you mean colours/layout"):
        open_manifest(layout, reader="colour/layout")
    with pytest.raises(ConfigurationError, match=r"no text has the language .fr.\. Languages: de, en"):
        open_manifest(layout, reader="colours/layout", lang="fr")
    with pytest.raises(ConfigurationError, match="knows its columns"):
        open_manifest(layout, reader="colours/layout", columns={"image": "file"})
    readers = registries().readers
    if "colours/twice" not in readers:
        readers.register("colours/twice", lambda path: [*read_colours(path), *read_colours(path)])
        readers.register("colours/none", lambda path: [])
    with pytest.raises(ManifestError, match="comes 2 times"):
        open_manifest(layout, reader="colours/twice")
    with pytest.raises(ConfigurationError, match="found no records"):
        open_manifest(layout, reader="colours/none")
    with pytest.raises(ConfigurationError, match="takes no image folder"):
        open_manifest(layout, reader="colours/none", image_root=layout.parent)


def read_languages(path, image_root=None, protocol: Literal["paper", "strict"] = "paper", most: int = 12):
    """With options of every kind that readers have."""
    split = "test" if protocol == "strict" else "train"
    return [replace(record, split=split) for record in read_colours(path, image_root)[:most]]


@pytest.fixture
def with_options(layout):
    readers = registries().readers
    if "colours/options" not in readers:
        readers.register("colours/options", read_languages)
    return layout


def test_options_follow_a_colon(with_options, capsys):
    manifest = open_manifest(with_options, reader="colours/options:protocol=strict, most=5")
    assert (len(manifest), {record.split for record in manifest}) == (5, {"test"})
    assert manifest.fingerprint() != open_manifest(with_options, reader="colours/options").fingerprint()
    assert main(["audit", str(with_options), "--no-images", "--reader", "colours/options:most=3"]) == 0
    assert "3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("protocl=strict", r"no option 'protocl'\. Options: protocol, most\."),
        ("image_root=elsewhere", r"no option 'image_root'\. Options: protocol, most\."),
        ("protocol=lenient", r"'paper', 'strict'.*lenient"),
        ("most=many", r"most.*many"),
        ("protocol", r"'protocol' is no option of its own\. Write colours/options:option=value"),
        ("most=1,most=2", r"'most=2' is no option of its own"),
        ("", r"'' is no option of its own"),
    ],
)
def test_a_wrong_option_is_named(with_options, options, message):
    with pytest.raises(ConfigurationError, match=message):
        open_manifest(with_options, reader=f"colours/options:{options}")


def test_a_reader_without_options_says_so(layout):
    with pytest.raises(ConfigurationError, match=r"'colours/layout' has no option 'protocol'\. It has none\."):
        open_manifest(layout, reader="colours/layout:protocol=strict")


def test_commands_and_the_data_module_take_it(layout, small, colour_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    reader = ["--reader", "colours/layout"]
    assert main(["audit", str(layout), "--no-images", *reader]) == 0
    assert main(["embed", "model", str(layout), "-o", str(tmp_path / "vectors"), *reader]) == 0
    assert main(["index", "model", str(layout), "-o", str(tmp_path / "index"), *reader]) == 0
    assert main(["evaluate", "model", str(layout), "-o", str(tmp_path / "e.json"), "--lang", "en", *reader]) == 0
    assert "12 vectors" in capsys.readouterr().out
    data = small.small_data(layout, reader="colours/layout", lang="en")
    trainer = small.small_trainer(tmp_path, max_epochs=1)
    trainer.fit(small.small_task(), datamodule=data)
    assert trainer.global_step == 1
