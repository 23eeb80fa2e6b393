from __future__ import annotations

import pytest
from reader_trees import rsivqa

from vlcore.errors import ManifestError
from vlcore_remote_sensing.readers.rsivqa import read_rsivqa


def test_a_line_is_a_question_with_its_answer(tmp_path):
    first, second = read_rsivqa(rsivqa(tmp_path))
    assert [(text.text, text.kind) for text in first.texts] == [("Is there a bridge?", "question"), ("yes", "answer")]
    assert (first.id, first.group, first.labels) == ("rsicd_vqa/1", "00433.jpg", {"answer": "yes"})
    assert [text.text for text in second.texts] == ["How many boats? really?", "12"]  # the last mark divides


def test_bad_lines_are_listed_together(tmp_path):
    path = rsivqa(tmp_path)
    path.write_bytes(b"00433.jpg Is it?yes\n\n00433.jpg:Is it\n00433.jpg:Is it?\ngone.jpg:Is it?no\n00433.jpg:\xff?a\n")
    with pytest.raises(ManifestError) as caught:
        read_rsivqa(path)
    message = str(caught.value)
    for part in (
        "line 1: '00433.jpg Is it?yes' is not of the form 'image:question?answer'",
        "line 3: '00433.jpg:Is it' is not of the form",
        "line 4: the answer is ''. It must be words.",
        "line 5: the image 'gone.jpg' is not in",
        "line 6: byte 11 (0xFF) is not UTF-8",
    ):
        assert part in message
