"""The reader of PMC-OA, on small trees in its layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.pmc_oa import read_pmc_oa

ROWS = {
    "train": [
        {"image": "PMC1_Fig1_1.jpg", "caption": "(A)  CT. (B) MRI."},
        {"image": "PMC2_Fig1_1.jpg", "caption": "CT", "pmcid": "PMC2", "url_name": "f1.jpg"},
    ],
    "valid": [{"image": "PMC3_Fig1_1.jpg", "caption": "CT"}],
    "test": [{"image": "PMC1_Fig2_1.jpg", "caption": "X-ray"}, {"image": "fig.jpg", "caption": "CT", "pmcid": "PMC3"}],
}


def tree(folder: Path, **changed: list[dict[str, Any]]) -> Path:
    """Write a data set; articles PMC1 and PMC3 are on both sides."""
    (folder / "images").mkdir()
    for name, rows in {**ROWS, **changed}.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        for row in ROWS[name]:
            (folder / "images" / row["image"]).write_bytes(b"jpeg")
    return folder


def test_the_article_is_the_group(tmp_path: Path) -> None:
    records = read_pmc_oa(tree(tmp_path))
    assert [(record.split, record.group) for record in records] == [
        ("train", "PMC1"),
        ("train", "PMC2"),
        ("val", "PMC3"),
        ("test", "PMC1"),
        ("test", "PMC3"),
    ]
    assert records[0].texts[0].text == "(A) CT. (B) MRI."


def test_strict_leaves_out_articles_that_are_held_out(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="2 records of train or val left out"):
        records = read_pmc_oa(tree(tmp_path), protocol="strict")
    assert [(record.split, record.group) for record in records] == [
        ("train", "PMC2"),
        ("test", "PMC1"),
        ("test", "PMC3"),
    ]


def test_one_file(tmp_path: Path) -> None:
    path = tree(tmp_path)
    assert {record.split for record in read_pmc_oa(path / "valid.jsonl")} == {"val"}
    whole = (path / "train.jsonl").rename(path / "pmc_oa.jsonl")
    assert {record.split for record in read_pmc_oa(whole, image_root=path / "images")} == {None}


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = [
        {"image": "PMC1_Fig1_1.jpg", "caption": " "},
        {"image": "fig.jpg", "caption": "CT"},
        {"image": "PMC9.jpg", "caption": "CT"},
    ]
    with pytest.raises(ManifestError) as caught:
        read_pmc_oa(tree(tmp_path, train=rows))
    for part in (
        "train.jsonl line 1: 'caption' has no words",
        "train.jsonl line 2: neither 'pmcid' nor the image 'fig.jpg' names the article",
        "train.jsonl line 3: the image 'PMC9.jpg' is not in",
    ):
        assert part in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds none of train\.jsonl"):
        read_pmc_oa(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_pmc_oa(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="protocol='x'"):
        read_pmc_oa(tmp_path, protocol="x")  # type: ignore[arg-type]
