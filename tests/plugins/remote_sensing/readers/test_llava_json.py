from __future__ import annotations

import pytest
from reader_trees import llava_json, touch, write_json

from vlcore.errors import ManifestError
from vlcore_remote_sensing.readers.llava_json import read_llava_json


def conversation(*turns, image="a.png", **values):
    return {"image": image, "conversations": [{"from": who, "value": words} for who, words in turns], **values}


def test_turns_keep_their_words_and_boxes(tmp_path):
    first, second = read_llava_json(llava_json(tmp_path))
    assert [(text.text, text.kind) for text in first.texts] == [
        ("Where is the ship? [refer]", "question"),
        ("{<12><3><40><44>|<90>}", "answer"),
    ]
    assert (first.id, second.id) == ("P0003", "P0003#2")  # ids of GeoChat are those of images
    assert first.group == second.group == "images/P0003.png"


def test_conversations_without_an_image_are_counted(tmp_path):
    touch(tmp_path, "a.png")
    turns = (("human", "Hello?"), ("gpt", "Hello."))
    rows = [conversation(*turns, image=None, id=1), conversation(*turns, id=2), conversation(*turns)]
    with pytest.warns(UserWarning, match="left out 1 conversations without an image"):
        records = read_llava_json(write_json(tmp_path / "x.json", rows))
    assert [record.id for record in records] == ["2", "a.png"]


def test_bad_conversations_are_listed_together(tmp_path):
    touch(tmp_path, "a.png")
    rows = [
        conversation(("gpt", "Hello.")),
        conversation(("human", "a"), ("human", "b")),
        conversation(("human", "<image>"), ("gpt", "b")),
        conversation(("human", "a")),
        conversation(),
        conversation(("human", "a"), ("gpt", "b"), image="../a.png"),
        conversation(("human", "a"), ("gpt", "b"), id=[1]),
        {"image": "a.png", "conversations": ["a"]},
        3,
    ]
    with pytest.raises(ManifestError) as caught:
        read_llava_json(write_json(tmp_path / "x.json", rows))
    message = str(caught.value)
    for part in (
        "conversation 1 (a.png): turn 1 is from 'gpt'. human and gpt must take turns, human first.",
        "conversation 2 (a.png): turn 2 is from 'human'",
        "conversation 3 (a.png): turn 1 ({'from': 'human', 'value': '<image>'}) has no words in 'value'",
        "conversation 4 (a.png): has 1 turns. Every question needs its answer.",
        "conversation 5 (a.png): has 0 turns",
        "conversation 6 (../a.png): The path '../a.png' leads out of",
        "conversation 7 (a.png): 'id' is [1]. It must be text or a whole number.",
        "conversation 8 (a.png): turn 1 is from None",
        "conversation 9: is 3. It must be a JSON object.",
    ):
        assert part in message


def test_another_file_is_told(tmp_path):
    with pytest.raises(ManifestError, match=r"does not hold \[\.\.\.\] \(it is a dict\)"):
        read_llava_json(write_json(tmp_path / "x.json", {}))
    (tmp_path / "x.json").write_bytes(b'["\xff"]')
    with pytest.raises(ManifestError, match="is not UTF-8 at byte 3"):
        read_llava_json(tmp_path / "x.json")
