"""The reader of `annotation.json`, on small trees of both data sets that use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.r2gen import read_r2gen


def entry(name: str, split: str, images: Any = ("0.png", "1.png"), **others: Any) -> dict[str, Any]:
    """One report as the file has it."""
    paths = [f"{name}/{image}" for image in images] if isinstance(images, tuple) else images
    return {"id": name, "report": "Clear  lungs .", "image_path": paths, "split": split, **others}


def tree(folder: Path, train: Any = None) -> Path:
    """Write a data set."""
    entries = {
        "train": [entry("CXR1_IM-0001", "train"), entry("CXR2_IM-0002", "train", ("0.png",))],
        "val": [entry("CXR3_IM-0003", "val")],
        "test": [entry("CXR4_IM-0004", "test", report=" ")],
    }
    for one in (one for some in entries.values() for one in some):
        for image in one["image_path"]:
            (folder / "images" / image).parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / image).write_bytes(b"png")
    path = folder / "annotation.json"
    path.write_text(json.dumps({**entries, **({} if train is None else {"train": train})}))
    return path


def test_every_image_has_the_report_and_knows_the_other_views(tmp_path: Path) -> None:
    records = read_r2gen(tree(tmp_path))
    assert [record.split for record in records] == ["train", "train", "train", "val", "val", "test", "test"]
    first, second, third = records[:3]
    assert first.texts == second.texts
    assert [(text.text, text.kind) for text in first.texts] == [("Clear lungs .", "report")]
    assert first.group == second.group == "CXR1_IM-0001" != third.group
    assert first.meta == {"study": "CXR1_IM-0001", "views": ["CXR1_IM-0001/1.png"]}
    assert third.meta["views"] == []
    assert first.image.path == tmp_path / "images" / "CXR1_IM-0001" / "0.png"
    assert records[-1].texts == ()


def test_the_patient_is_the_group_where_the_file_says_so(tmp_path: Path) -> None:
    rows = [
        entry("a", "train", ["CXR1_IM-0001/0.png"], subject_id=10000032, study_id=50414267),
        entry("b", "train", ["CXR1_IM-0001/1.png"], subject_id=10000032, study_id=50414268),
    ]
    first, second = read_r2gen(tree(tmp_path, rows))[:2]
    assert first.group == second.group == "10000032"
    assert (first.meta["study"], second.meta["study"]) == ("50414267", "50414268")


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [
        entry("a", "train", []),
        entry("CXR1_IM-0001", "test"),
        entry("CXR1_IM-0001", "train", ["../0.png", 7]),
        entry("CXR1_IM-0001", "train", ("0.png", "0.png")),
        {**entry("CXR2_IM-0002", "train", ("0.png",)), "report": None},
        "report",
    ]
    with pytest.raises(ManifestError) as caught:
        read_r2gen(tree(tmp_path, rows))
    for part in (
        "train report 1: 'image_path' is []. It must be a list with one or more paths.",
        "train report 2: 'split' is 'test', but it stands under 'train'. Correct one.",
        "train report 3, image 1: The path '../0.png' leads out of",
        "train report 3, image 2: 'image' is 7. It must be text.",
        "train report 4, image 2: the id 'CXR1_IM-0001/0.png' is also on train report 4, image 1",
        "train report 5, image 1: 'report' is missing. It must be text.",
        "train report 6: 'image_path' is None.",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[]", 'does not hold {"train"'),
        ('{"train": [], "val": []}', 'does not hold {"train"'),
        ('{"train": 7, "val": [], "test": []}', "the list of each train report: holds 7 where a list belongs"),
        ('{"train": [], "val": [], "test": []}', "holds no rows"),
    ],
)
def test_another_file_is_told(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "annotation.json"
    path.write_text(content)
    with pytest.raises(ManifestError) as caught:
        read_r2gen(path)
    assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_r2gen(tmp_path / "nowhere.json")
