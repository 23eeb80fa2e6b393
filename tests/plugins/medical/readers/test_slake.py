"""The reader of SLAKE, on a small tree in its layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.manifest import open_manifest
from vlcore.data.record import Text
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.slake import read_slake


def row(qid: int, image: int = 0, **others: Any) -> dict[str, Any]:
    """One question as `train.json` has it."""
    return {
        "img_id": image,
        "img_name": f"xmlab{image}/source.jpg",
        "question": "What modality is used?",
        "answer": "MRI",
        "q_lang": "en",
        "location": "Abdomen",
        "modality": "MRI",
        "answer_type": "OPEN",
        "base_type": "vqa",
        "content_type": "Modality",
        "triple": ["vhead", "_", "_"],
        "qid": qid,
        **others,
    }


CHINESE = row(1, question="图像里有什么器官?", answer="肝", q_lang="zh")
KNOWLEDGE = row(0, 2, base_type="kvqa", content_type="KG", triple=["Pneumonia", "has_symptom", "_"])


def tree(
    folder: Path, train: tuple[Any, ...] = (row(0), CHINESE), validate: str = "validate", test: Any = KNOWLEDGE
) -> Path:
    """Write a data set of three images; only the first has a mask and boxes."""
    for number in range(3):
        images = folder / "imgs" / f"xmlab{number}"
        images.mkdir(parents=True)
        (images / "source.jpg").write_bytes(b"jpeg")
    (folder / "imgs" / "xmlab0" / "mask.png").write_bytes(b"png")
    (folder / "imgs" / "xmlab0" / "detection.json").write_text("[]")
    for name, rows in (("train", list(train)), (validate, [row(0, 1)]), ("test", [test])):
        (folder / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.mark.parametrize("validate", ["validate", "validation"])
def test_questions_of_both_languages_and_all_splits(tmp_path: Path, validate: str) -> None:
    records = read_slake(tree(tmp_path, validate=validate))
    assert [(record.id, record.split, record.group) for record in records] == [
        ("train/0", "train", "xmlab0/source.jpg"),
        ("train/1", "train", "xmlab0/source.jpg"),
        ("val/0", "val", "xmlab1/source.jpg"),
        ("test/0", "test", "xmlab2/source.jpg"),
    ]
    assert records[1].texts == (Text("图像里有什么器官?", lang="zh", kind="question"),)
    assert records[0].labels == {
        "answer": "MRI",
        "answer_type": "OPEN",
        "content_type": "Modality",
        "base_type": "vqa",
        "location": "Abdomen",
        "modality": "MRI",
    }


def test_questions_about_knowledge_keep_their_triple(tmp_path: Path) -> None:
    record = read_slake(tree(tmp_path))[-1]
    assert record.labels["base_type"] == "kvqa"
    assert record.meta["triple"] == ["Pneumonia", "has_symptom", "_"]


def test_masks_and_boxes_are_named_where_they_are(tmp_path: Path) -> None:
    first, _, third, _ = read_slake(tree(tmp_path))
    assert first.meta["mask"] == "xmlab0/mask.png"
    assert first.meta["detection"] == "xmlab0/detection.json"
    assert (tmp_path / "imgs" / first.meta["mask"]).is_file()
    assert set(third.meta) == {"triple"}


def test_one_language_and_one_file(tmp_path: Path) -> None:
    path = tree(tmp_path)
    assert [record.id for record in read_slake(path, lang="zh")] == ["train/1"]
    assert {record.split for record in read_slake(path / "train.json")} == {"train"}
    manifest = open_manifest(path, reader="medical/slake", lang="en")
    assert (len(manifest), manifest.languages) == (3, {"en": 3})


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = tree(tmp_path, train=(row(0, q_lang="fr"), row(1, answer_type=""), row(2), row(2), row(3, base_type=None)))
    with pytest.raises(ManifestError) as caught:
        read_slake(path, lang="en")
    for part in (
        "train.json question 1: 'q_lang' is 'fr'. It must be one of en, zh.",
        "train.json question 2: 'answer_type' is ''.",
        "train.json question 4: the id 'train/2' is also on train.json question 3",
        "train.json question 5: 'base_type' is missing. It must be text.",
    ):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"lang='de': choose one of en, zh"):
        read_slake(path, lang="de")
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_slake(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds none of train\.json"):
        read_slake(tmp_path / "empty")
