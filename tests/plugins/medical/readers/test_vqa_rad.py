"""The reader of VQA-RAD, on small trees in its three layouts and on the real questions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.record import Text
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.vqa_rad import read_vqa_rad


def row(qid: Any, image: str, phrase: str = "freeform", **others: Any) -> dict[str, Any]:
    """One question as `VQA_RAD Dataset Public.json` has it."""
    return {
        "qid": qid,
        "phrase_type": phrase,
        "image_name": image,
        "image_organ": "CHEST",
        "question": "Is  there a mass?",
        "question_rephrase": "NULL",
        "question_type": "PRES, ATRIB",
        "answer": "Yes",
        "answer_type": "CLOSED ",
        **others,
    }


ROWS = [
    row("0", "synpic1.jpg", question_rephrase="Can a mass be seen?"),
    row(5, "synpic1.jpg", "test_freeform", answer=2, answer_type="OPEN", question_type="COUNT"),
    row("7", "synpic2.jpg", "para", answer=" the  left", question_type="Other"),
]


def tree(folder: Path, rows: list[Any] = ROWS) -> Path:
    """Write the original layout."""
    images = folder / "VQA_RAD Image Folder"
    images.mkdir()
    for name in ("synpic1.jpg", "synpic2.jpg"):
        (images / name).write_bytes(b"jpeg")
    path = folder / "VQA_RAD Dataset Public.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_the_original_layout_with_its_mixed_types(tmp_path: Path) -> None:
    first, second, third = read_vqa_rad(tree(tmp_path))
    assert (first.id, second.id, third.id) == ("0", "5", "7")
    assert first.texts == (Text("Is there a mass?", lang="en", kind="question"),)
    assert first.labels == {
        "answer": "Yes",
        "answer_type": "CLOSED",
        "question_type": ["PRES", "ATTRIB"],
        "organ": "CHEST",
    }
    assert (second.labels["answer"], second.labels["answer_type"]) == ("2", "OPEN")
    assert (third.labels["answer"], third.labels["question_type"]) == ("the left", ["OTHER"])
    assert [record.split for record in (first, second, third)] == ["train", "test", "train"]
    assert first.group == second.group == "synpic1.jpg"
    assert first.meta == {"qid": "0", "phrase_type": "freeform", "rephrased": "Can a mass be seen?"}
    assert "rephrased" not in second.meta
    assert first.image.path == tmp_path / "VQA_RAD Image Folder" / "synpic1.jpg"


def test_strict_leaves_out_training_questions_about_images_of_test(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="1 records of train or val left out, whose group is also held out"):
        records = read_vqa_rad(tree(tmp_path), protocol="strict")
    assert [record.id for record in records] == ["5", "7"]


def test_strict_takes_the_split_by_image_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"jpeg")
    rows = [
        {**row("0", ""), "image": "images/a.jpg", "organ": "HEAD", "split": "train", "split_by_image": "val"},
        {**row("1", ""), "image": "images/a.jpg", "organ": "HEAD", "split": "test", "split_by_image": "val"},
    ]
    path = tmp_path / "qa.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [record.split for record in read_vqa_rad(path)] == ["train", "test"]
    assert [record.split for record in read_vqa_rad(path, protocol="strict")] == ["val", "val"]
    assert read_vqa_rad(path)[0].labels["organ"] == "HEAD"


def test_the_layout_of_mevf_repeats_question_numbers(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "synpic1.jpg").write_bytes(b"jpeg")
    rows = [row(0, "synpic1.jpg"), row(0, "synpic1.jpg", "para")]
    (tmp_path / "trainset.json").write_text(json.dumps(rows))
    (tmp_path / "testset.json").write_text(json.dumps([row(3, "synpic1.jpg")]))
    records = read_vqa_rad(tmp_path)
    assert [(record.id, record.split, record.meta["qid"]) for record in records] == [
        ("train/1", "train", "0"),
        ("train/2", "train", "0"),
        ("test/1", "test", "3"),
    ]


def test_all_bad_questions_are_listed(tmp_path: Path) -> None:
    rows = [
        row("1", "synpic1.jpg", answer_type="MAYBE"),
        row("2", "synpic1.jpg", answer=None),
        row("3", "synpic1.jpg", question=" "),
        row(None, "synpic1.jpg"),
        row("5", "gone.jpg"),
        row("6", "../synpic1.jpg"),
        row("7", "synpic1.jpg"),
        row(7, "synpic1.jpg"),
        "question",
    ]
    with pytest.raises(ManifestError) as caught:
        read_vqa_rad(tree(tmp_path, rows))
    message = str(caught.value)
    for part in (
        "question 1: 'answer_type' is 'MAYBE'. It must be one of CLOSED, OPEN.",
        "question 2: 'answer' is None. It must be text or a number.",
        "question 3: 'question' has no words.",
        "question 4: 'qid' is None. It must be text or a whole number.",
        "question 5: the image 'gone.jpg' is not in",
        "question 6: The path '../synpic1.jpg' leads out of",
        "question 8: the id '7' is also on question 7",
        "question 9: is 'question'. It must be a JSON object.",
    ):
        assert part in message
    assert len(caught.value.problems) == 8


def test_another_file_and_another_protocol_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"protocol='loose': choose one of paper, strict"):
        read_vqa_rad(tmp_path, protocol="loose")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="is no file"):
        read_vqa_rad(tmp_path)
    path = tmp_path / "other.json"
    for content, part in (
        ("{", "line 1: is not JSON"),
        ('{"a": 1}', "where a list belongs"),
        ("[]", "holds no rows"),
    ):
        path.write_text(content)
        with pytest.raises(ManifestError, match=part):
            read_vqa_rad(path)
    path.write_bytes(b'["\xff"]')
    with pytest.raises(ManifestError, match="is not UTF-8"):
        read_vqa_rad(path)


def test_the_real_questions(data_root: Path) -> None:
    path = data_root / "medical" / "vqa_rad" / "qa.jsonl"
    paper, strict = read_vqa_rad(path), read_vqa_rad(path, protocol="strict")
    assert Counter(record.split for record in paper) == {"train": 1797, "test": 451}
    assert Counter(record.split for record in strict) == {"train": 1578, "test": 484, "val": 186}
    assert Counter(record.labels["answer_type"] for record in paper) == {"CLOSED": 1299, "OPEN": 949}
    assert len({record.group for record in paper}) == 314

    def images(records: list[Any], split: str) -> set[str]:
        return {record.group for record in records if record.split == split}

    assert len(images(paper, "test")) == 203
    assert len(images(paper, "test") & images(paper, "train")) == 202
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not images(strict, one) & images(strict, other)


def test_the_real_questions_in_the_original_layout(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "medical" / "vqa_rad"
    lines = (source / "qa.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {
            **{key: one[key] for key in ("qid", "question", "answer", "answer_type", "question_type", "phrase_type")},
            "image_name": one["image"].removeprefix("images/"),
            "image_organ": one["organ"],
            "question_rephrase": "NULL",
        }
        for one in map(json.loads, lines)
    ]
    path = tmp_path / "VQA_RAD Dataset Public.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    official = read_vqa_rad(source / "qa.jsonl")
    records = read_vqa_rad(path, image_root=source / "images")
    for key in ("id", "split", "texts", "labels"):
        assert [getattr(one, key) for one in records] == [getattr(one, key) for one in official]
    with pytest.warns(UserWarning, match="left out"):
        strict = read_vqa_rad(path, image_root=source / "images", protocol="strict")
    held_out = {record.group for record in strict if record.split == "test"}
    assert sum(record.split == "test" for record in strict) == 451
    assert not held_out & {record.group for record in strict if record.split == "train"}
