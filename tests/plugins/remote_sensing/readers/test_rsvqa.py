from __future__ import annotations

import pytest
from reader_trees import rsvqa, rsvqa_parts

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.rsvqa import read_rsvqa


def test_a_question_finds_its_answer_and_image_by_id(tmp_path):
    with pytest.warns(UserWarning, match="left out 1 inactive questions"):
        first, second = read_rsvqa(rsvqa(tmp_path))
    assert [(text.text, text.kind) for text in first.texts] == [("Is there a road?", "question"), ("yes", "answer")]
    assert first.labels == {"answer": "yes", "question_type": "presence"}
    assert (first.id, first.split, first.group) == ("LR_train/0", "train", "LR/1")
    assert first.image.path == tmp_path / "Images_LR" / "1.tif"
    assert (second.id, second.labels["answer"]) == ("LR_train/2", "7")


def test_copies_without_the_inactive_rows_give_the_same(tmp_path):
    with pytest.warns(UserWarning):
        whole = read_rsvqa(rsvqa(tmp_path / "a"))
    parts = [[row for row in rows if row["active"]] for rows in rsvqa_parts()]
    lean = read_rsvqa(rsvqa(tmp_path / "b", parts))
    assert [(record.id, record.texts) for record in lean] == [(record.id, record.texts) for record in whole]


@pytest.mark.parametrize(
    ("prefix", "split", "folder"),
    [("USGS", "test_phili", "Data"), ("RSVQAxBEN", "val", "Images"), ("LR", "test", "Images_LR"), ("LR", "test", "")],
)
@pytest.mark.filterwarnings("ignore:.*inactive")
def test_every_set_has_its_names(tmp_path, prefix, split, folder):
    rsvqa(tmp_path, prefix=prefix, split=split, folder=folder)
    record = read_rsvqa(tmp_path / f"{prefix}_split_{split}_questions.json")[0]
    assert (record.id, record.split) == (f"{prefix}_{split}/0", split)
    assert record.image.path == tmp_path / folder / "1.tif"


@pytest.mark.filterwarnings("ignore:.*inactive")
def test_all_splits_of_a_folder_are_read(tmp_path):
    rsvqa(rsvqa(tmp_path), split="test")
    assert {record.split for record in read_rsvqa(tmp_path)} == {"train", "test"}


def test_questions_without_their_parts_are_listed_together(tmp_path):
    images, questions, answers = rsvqa_parts()
    ask = {"img_id": 1, "type": "x", "question": "Is it?", "answers_ids": [0], "active": True}
    bad = [
        {**ask, "id": 3, "img_id": 0},
        {**ask, "id": 4, "img_id": 9},
        {**ask, "id": 5, "answers_ids": [1]},
        {**ask, "id": 6, "answers_ids": [0, 2]},
        {**ask, "id": 7, "question": " "},
        {**ask, "id": 8, "answers_ids": [3]},
    ]
    answers.append({"id": 3, "answer": 4, "active": True})
    with pytest.raises(ManifestError) as caught:
        read_rsvqa(rsvqa(tmp_path, (images, [*questions, *bad], answers)))
    message = str(caught.value)
    for part in (
        "question 3: its image 0 is inactive",
        "question 4: its image 9 is not there",
        "question 5: its answer 1 is inactive",
        "question 6: 'answers_ids' is [0, 2]. It must hold the id of one answer.",
        "question 7: the question is ' '. It must be words.",
        "question 8: the answer is 4. It must be words.",
    ):
        assert part in message


def test_lists_that_ids_do_not_index_are_told(tmp_path):
    images, questions, answers = rsvqa_parts()
    with pytest.raises(ManifestError) as caught:
        read_rsvqa(rsvqa(tmp_path, ([*images, {"id": 1, "active": False}, {"active": False}], questions, answers)))
    assert "images 3: the id 1 comes twice" in str(caught.value)
    assert "images 4: has no whole number as 'id'" in str(caught.value)


def test_missing_files_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="has no <prefix>_split_<split>_questions"):
        read_rsvqa(tmp_path)
    (rsvqa(tmp_path) / "LR_split_train_answers.json").unlink()
    with pytest.raises(ConfigurationError, match=r"LR_split_train_answers\.json is no file"):
        read_rsvqa(tmp_path)
    other = (tmp_path / "LR_split_train_questions.json").rename(tmp_path / "questions.json")
    with pytest.raises(ConfigurationError, match=r"'questions.json' is not named"):
        read_rsvqa(other)
