from __future__ import annotations

import hashlib
import json

import pytest
from reader_trees import captions_side_files, karpathy, translation, write_lines

from vlcore.data.readers.texts import language_matches
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.captions_side_files import caption_sha1, read_captions_side_files


def test_translations_join_their_sentence_and_keep_their_kind(tmp_path):
    first, second = read_captions_side_files(captions_side_files(tmp_path))
    assert [(text.text, text.lang, text.kind) for text in first.texts] == [
        ("a plane .", "en", "caption"),
        ("two planes .", "en", "caption"),
        ("um avião .", "pt", "machine_translation"),
        ("两架飞机", "zh-Hans", "caption"),
    ]
    assert [text.text for text in second.texts] == ["a sea .", "um mar ."]
    assert first.meta["translation_groups"] == [0, 1, 0, 1]
    assert second.meta["translation_groups"] == [2, 2]
    assert (first.labels, second.split) == ({"label": "airport"}, "test")
    assert language_matches(first.texts[3].lang, "zh")


def test_the_sum_is_of_words_with_single_spaces():
    assert caption_sha1("two  planes .\n") == hashlib.sha1(b"two planes .").hexdigest()
    assert caption_sha1("um avião") == hashlib.sha1("um avião".encode()).hexdigest()


def test_a_translation_of_a_changed_source_is_refused_by_line(tmp_path):
    path = captions_side_files(tmp_path)
    value = json.loads(path.read_text())
    value["images"][0]["sentences"][0]["raw"] = "a glider ."
    path.write_text(json.dumps(value))
    with pytest.raises(ManifestError) as caught:
        read_captions_side_files(path)
    assert len(caught.value.problems) == 1
    message = str(caught.value)
    assert "captions.pt.jsonl: 1 problem" in message
    assert "line 2: translates another text than sentence 0 of 'airport_1.jpg' has now" in message
    assert (
        f"'src_sha1' is {caption_sha1('a plane .')}, and that of 'a glider .' is {caption_sha1('a glider .')}"
        in message
    )


def test_rows_of_other_data_sets_are_counted(tmp_path):
    path = captions_side_files(tmp_path)
    rows = [translation(0, "a plane .", "un avion ."), translation(0, "x", "y", dataset="ucm")]
    write_lines(tmp_path / "captions.pt.jsonl", rows)
    with pytest.warns(UserWarning, match=r"captions\.pt\.jsonl: left out 1 rows of other data sets"):
        first, _ = read_captions_side_files(path)
    assert [text.text for text in first.texts if text.lang == "pt"] == ["un avion ."]


def test_bad_lines_are_listed_together(tmp_path):
    path = captions_side_files(tmp_path)
    plane = "a plane ."
    rows = [
        translation(0, plane, "a"),
        translation(0, plane, "b"),
        translation(1, "two planes .", "c", lang="de"),
        translation(1, "two planes .", " "),
        translation(9, plane, "d"),
        translation(2, "a sea .", "e", kind="robot"),
        translation(2, "a sea .", "f", mt_model=None),
        translation(2, "a sea .", "g", src_sha1=None),
        [],
    ]
    write_lines(tmp_path / "captions.pt.jsonl", rows)
    with (tmp_path / "captions.pt.jsonl").open("a") as lines:
        lines.write("{\n")
    with pytest.raises(ManifestError) as caught:
        read_captions_side_files(path)
    message = str(caught.value)
    for part in (
        "line 2: the sentence 0 has a translation already",
        "line 3: 'lang' is 'de' in a file of 'pt'",
        "line 4: the translation of sentence 1 is blank",
        "line 5: there is no sentence 9",
        "line 6: 'kind' is 'robot'. It must be 'human' or 'mt'.",
        "line 7: 'mt_model' is missing",
        "line 8: 'src_sha1' is missing",
        "line 9: is []. It must be a JSON object.",
        "line 10: is not JSON in UTF-8",
    ):
        assert part in message
    assert len(caught.value.problems) == 9


def test_languages_are_tags(tmp_path):
    path = captions_side_files(tmp_path)
    write_lines(tmp_path / "captions.portuguese.jsonl", [translation(0, "a plane .", "x", lang="portuguese")])
    with pytest.raises(ManifestError, match="Both must be one BCP-47 tag"):
        read_captions_side_files(path)


def test_sources_that_cannot_be_joined_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"There is no captions\.<lang>\.jsonl beside"):
        read_captions_side_files(karpathy(tmp_path / "alone"))
    path = captions_side_files(tmp_path)
    value = json.loads(path.read_text())
    value["images"][0]["sentences"][1]["sentid"] = 0
    value["images"][1]["sentences"][0]["sentid"] = None
    path.write_text(json.dumps(value))
    with pytest.raises(ManifestError) as caught:
        read_captions_side_files(path)
    assert "image 1 (airport_1.jpg): the 'sentid' 0 comes twice" in str(caught.value)
    assert "image 2 (00623.jpg): the 'sentid' None is no whole number" in str(caught.value)
    del value["dataset"]
    path.write_text(json.dumps(value))
    with pytest.raises(ManifestError, match=r"'dataset' is None. Write the name that the side files give it"):
        read_captions_side_files(path)
