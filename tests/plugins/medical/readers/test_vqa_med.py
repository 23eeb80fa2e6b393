"""The reader of VQA-Med 2019, on a small tree in its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.vqa_med import accepted_answers, read_vqa_med

TRAIN = "synpic1|what modality is shown?|cta - ct angiography\nsynpic1|is this a ct?|no\n"
TEST = "synpic3|modality|what modality is shown?|xr - plain film#x-ray (plain)\n\n"


def tree(folder: Path, train: str = TRAIN, test: str = TEST) -> Path:
    """Write a data set, each split in a folder of its own as the archives unpack."""
    for place, name, lines, images, image in (
        ("ImageClef-2019-VQA-Med-Training", "All_QA_Pairs_train.txt", train, "Train_images", "synpic1"),
        ("ImageClef-2019-VQA-Med-Validation", "All_QA_Pairs_val.txt", "synpic2|why?|this\n", "Val_images", "synpic2"),
        ("Test", "VQAMed2019_Test_Questions_w_Ref_Answers.txt", test, "VQAMed2019_Test_Images", "synpic3"),
    ):
        (folder / place / images).mkdir(parents=True)
        (folder / place / images / f"{image}.jpg").write_bytes(b"jpeg")
        (folder / place / name).write_text(lines, encoding="utf-8")
    return folder


def test_lines_with_and_without_a_category(tmp_path: Path) -> None:
    first, second, third, fourth = read_vqa_med(tree(tmp_path))
    assert (first.id, first.split, first.group) == ("train/1", "train", "synpic1")
    assert first.texts[0].text == "what modality is shown?" and first.texts[0].kind == "question"
    assert first.labels == {"answer": "cta - ct angiography", "answers": ["cta - ct angiography"]}
    assert (second.id, second.group) == ("train/2", "synpic1")
    assert (third.split, fourth.split) == ("val", "test")
    assert fourth.labels == {
        "answer": "xr - plain film",
        "answers": ["xr - plain film", "x-ray plain", "x-ray"],
        "category": "modality",
    }


@pytest.mark.parametrize(
    ("told", "answers"),
    [
        ("yes", ["yes"]),
        ("a#b#a", ["a", "b"]),
        ("mri (t2 weighted)", ["mri t2 weighted", "mri"]),
        ("(left) lung#", ["left lung", "lung"]),
        ("#", []),
    ],
)
def test_accepted_answers(told: str, answers: list[str]) -> None:
    assert accepted_answers(told) == answers


def test_mistakes_are_named(tmp_path: Path) -> None:
    train = "synpic1|what?\n|what?|this\nsynpic1||this\nsynpic1|what?|\nsynpic9|what?|this\nsynpic1|what?|#\n../x|a|b\n"
    with pytest.raises(ManifestError) as caught:
        read_vqa_med(tree(tmp_path, train=train))
    for part in (
        "All_QA_Pairs_train.txt line 1: is 'synpic1|what?'. It must be image|question|answer",
        "line 2: is '|what?|this'",
        "line 3: 'question' has no words",
        "line 4: 'answer' is ''",
        "line 5: the image 'ImageClef-2019-VQA-Med-Training/Train_images/synpic9.jpg' is not in",
        "line 6: the answer '#' has no words",
        "line 7: The path 'ImageClef-2019-VQA-Med-Training/Train_images/../x.jpg' leads out of",
    ):
        assert part in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds none of All_QA_Pairs_train\.txt"):
        read_vqa_med(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_vqa_med(tmp_path / "nowhere")


def test_a_line_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tree(tmp_path)
    (path / "ImageClef-2019-VQA-Med-Training" / "All_QA_Pairs_train.txt").write_bytes(b"synpic1|a|\xff\n")
    with pytest.raises(ManifestError, match=r"line 1: byte 11 .* is not UTF-8"):
        read_vqa_med(path)
