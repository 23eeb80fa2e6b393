"""The reader of captioned tiles, on a small tree in the true layout and on the real captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.karpathy import read_karpathy


def image(name: str, *captions: str, split: str = "train") -> dict[str, Any]:
    """One entry as `dataset_rsicd.json` has it."""
    sentences = [{"tokens": text.split(), "raw": text, "imgid": 0, "sentid": n} for n, text in enumerate(captions)]
    return {"filename": name, "imgid": 0, "sentids": list(range(len(captions))), "sentences": sentences, "split": split}


def tree(folder: Path, images: list[Any]) -> Path:
    """Write a data set."""
    for entry in images:
        if isinstance(entry, dict) and "gone" not in entry["filename"]:
            path = folder / entry["filename"]
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(b"jpeg")
    path = folder / "dataset_rsicd.json"
    path.write_text(json.dumps({"images": images, "dataset": "rsicd"}), encoding="utf-8")
    return path


def test_captions_keep_order_and_repetitions_and_the_scene_is_the_label(tmp_path: Path) -> None:
    images = [
        image("airport_1.jpg", "a plane .", "two  planes .", "a plane ."),
        image("00623.jpg", "a sea .", split="test"),
    ]
    first, second = read_karpathy(tree(tmp_path, images))
    assert [text.text for text in first.texts] == ["a plane .", "two planes .", "a plane ."]
    assert {text.lang for text in first.texts} == {"en"}
    assert (first.id, first.split, first.labels) == ("airport_1.jpg", "train", {"label": "airport"})
    assert (second.id, second.split, second.labels) == ("00623.jpg", "test", {})
    assert first.image.path == tmp_path / "airport_1.jpg"


@pytest.mark.parametrize("folder", ["RSICD_images", "imgs", "images"])
def test_images_are_found_in_the_sub_folders_of_the_archives(tmp_path: Path, folder: str) -> None:
    path = tree(tmp_path, [image("1.tif", "a field .")])
    (tmp_path / folder).mkdir()
    (tmp_path / "1.tif").rename(tmp_path / folder / "1.tif")
    assert read_karpathy(path)[0].image.path == tmp_path / folder / "1.tif"
    moved = path.rename(tmp_path / folder / "annotations.json")
    assert read_karpathy(moved, image_root=tmp_path)[0].image.path == tmp_path / folder / "1.tif"


def test_raw_counts_where_tokens_are_those_of_another_sentence(tmp_path: Path) -> None:
    entry = image("airport_1.jpg", "Many planes are parked .")
    entry["sentences"][0]["tokens"] = ["a", "lake"]
    (record,) = read_karpathy(tree(tmp_path, [entry]))
    assert [text.text for text in record.texts] == ["Many planes are parked ."]


def test_the_split_valid_of_some_copies_is_val(tmp_path: Path) -> None:
    images = [image(f"{split}.jpg", "x", split=split) for split in ("train", "valid", "val", "test", "restval")]
    splits = [record.split for record in read_karpathy(tree(tmp_path, images))]
    assert splits == ["train", "val", "val", "test", "restval"]


def test_a_first_name_that_leads_out_is_reported_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tree(tmp_path / "data", [])
    path.write_text(json.dumps({"images": [image("../secret_1.jpg", "x")]}))
    with pytest.raises(ManifestError, match=r"image 1 \(\.\./secret_1\.jpg\): The path .* leads out of"):
        read_karpathy(path)


def test_all_bad_images_are_listed_by_place_and_name(tmp_path: Path) -> None:
    images = [
        image("a_1.jpg", "fine"),
        {**image("b_1.jpg"), "sentences": [{"raw": " "}]},
        {**image("c_1.jpg"), "sentences": "words"},
        image("gone_1.jpg", "fine"),
        image("a_1.jpg", "again"),
        7,
    ]
    with pytest.raises(ManifestError) as caught:
        read_karpathy(tree(tmp_path, images))
    message = str(caught.value)
    for part in (
        "image 2 (b_1.jpg): the sentence {'raw': ' '} has no words in 'raw'",
        "image 3 (c_1.jpg): 'sentences' is 'words'. It must be a list.",
        "image 4 (gone_1.jpg): the image 'gone_1.jpg' is not in",
        "image 5 (a_1.jpg): the id 'a_1.jpg' is also on image 1 (a_1.jpg)",
        "image 6: is 7. It must be a JSON object.",
    ):
        assert part in message
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [\n{]}', "line 2: is not JSON"),
        ('{"annotations": []}', "does not hold"),
        ("[]", "does not hold"),
        ('{"images": {}}', "'images' is a dict, not a list"),
        ('{"annotations": []}', "its keys are ['annotations']"),
        ("[]", "it is a list"),
        ('{"images": []}', "holds no rows"),
    ],
)
def test_another_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(content)
    with pytest.raises(ManifestError) as caught:
        read_karpathy(path)
    assert message in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no file"):
        read_karpathy(tmp_path / "dataset.json")


def test_the_real_captions_in_the_official_layout(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "remote_sensing" / "rsicd"
    rows = [json.loads(line) for line in (source / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    images = [image(row["image"], *row["captions"], split=row["split"]) for row in rows]
    path = tmp_path / "dataset_rsicd.json"
    path.write_text(json.dumps({"images": images, "dataset": "rsicd"}), encoding="utf-8")
    records = read_karpathy(path, image_root=source)
    assert len(records) == 2893
    assert sum(record.split == "test" for record in records) == 1093
    for record, row in zip(records, rows, strict=True):
        assert [text.text for text in record.texts] == [" ".join(caption.split()) for caption in row["captions"]]
        assert record.image.path.is_file()
    named = [(record.labels["label"], row["label"]) for record, row in zip(records, rows, strict=True) if record.labels]
    assert len(named) > 1000
    assert all(found == told.lower() for found, told in named)
