"""The reader of MedICaT, on a small tree in its layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.medicat import read_medicat

ROW = {
    "pdf_hash": "a1b2",
    "fig_uri": "2-Figure2-1.png",
    "radiology": True,
    "s2_caption": "Figure 2.  CT of the chest.",
    "s2orc_references": ["Figure 2 shows\na nodule.", " "],
}


def tree(folder: Path, *rows: dict[str, Any]) -> Path:
    """Write a data set, of two figures of one article if no row is given."""
    rows = rows or (ROW, {**ROW, "fig_uri": "3-Figure3-1.png", "radiology": False, "s2orc_references": None})
    (folder / "figures").mkdir()
    for figure in ("2-Figure2-1.png", "3-Figure3-1.png"):
        (folder / "figures" / f"a1b2_{figure}").write_bytes(b"png")
    path = folder / "public.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_figures_with_captions_and_references(tmp_path: Path) -> None:
    first, second = read_medicat(tree(tmp_path))
    assert [(text.kind, text.text) for text in first.texts] == [
        ("caption", "Figure 2. CT of the chest."),
        ("reference", "Figure 2 shows a nodule."),
    ]
    assert [text.kind for text in second.texts] == ["caption"]
    assert (first.labels, second.labels) == ({"radiology": True}, {"radiology": False})
    assert first.group == second.group == "a1b2"
    assert first.image.path == tmp_path / "figures" / "a1b2_2-Figure2-1.png"


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [
        {**ROW, "s2orc_references": [7]},
        {**ROW, "radiology": "yes"},
        {**ROW, "fig_uri": "gone.png"},
        {**ROW, "pdf_hash": "../a"},
        {**ROW, "s2_caption": ""},
    ]
    with pytest.raises(ManifestError) as caught:
        read_medicat(tree(tmp_path, *rows))
    for part in (
        "line 1: 's2orc_references' is [7]. It must be a list of texts, or null.",
        "line 2: 'radiology' is 'yes'. It must be true or false.",
        "line 3: the image 'a1b2_gone.png' is not in",
        "line 4: The path '../a_2-Figure2-1.png' leads out of",
        "line 5: 's2_caption' has no words.",
    ):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_medicat(tmp_path / "nowhere.jsonl")
