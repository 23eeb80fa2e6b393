from __future__ import annotations

import pytest
from reader_trees import karpathy_image, rsitmd, touch, write_json

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.rsitmd import read_rsitmd


def test_the_class_comes_from_the_file_name_and_there_is_no_val(tmp_path):
    images = [
        karpathy_image("baseballfield_452.tif", "a  field .", "A diamond ."),
        karpathy_image("park_1.tif", "trees .", split="test"),
    ]
    first, second = read_rsitmd(rsitmd(tmp_path, images))
    assert (first.id, first.split, first.labels) == ("baseballfield_452.tif", "train", {"label": "baseballfield"})
    assert [(text.text, text.lang) for text in first.texts] == [("a field .", "en"), ("A diamond .", "en")]
    assert first.image.path == tmp_path / "images" / "baseballfield_452.tif"
    assert (second.split, second.labels) == ("test", {"label": "park"})


def test_blank_captions_of_old_copies_are_left_out_and_counted(tmp_path):
    images = [karpathy_image("park_1.tif", "trees .", " ", ""), karpathy_image("park_2.tif", "\t", "a pond .")]
    with pytest.warns(UserWarning, match=r"dataset_RSITMD\.json: left out 3 blank captions\.$"):
        first, second = read_rsitmd(rsitmd(tmp_path, images))
    assert [len(record.texts) for record in (first, second)] == [1, 1]


def test_bad_images_are_listed_together(tmp_path):
    images = [
        karpathy_image("park_1.tif", " "),
        karpathy_image("00623.tif", "a sea ."),
        {**karpathy_image("park_2.tif"), "sentences": [{"raw": 3}]},
        {"filename": "park_3.tif", "sentences": [{"raw": "x"}]},
    ]
    with pytest.raises(ManifestError) as caught:
        read_rsitmd(rsitmd(tmp_path, images))
    message = str(caught.value)
    assert "image 1 (park_1.tif): has no caption. Write one, or remove the image." in message
    assert "image 2 (00623.tif): the file name '00623.tif' does not begin with a class" in message
    assert "image 3 (park_2.tif): the sentence {'raw': 3} has no text in 'raw'" in message
    assert "image 4 (park_3.tif): 'split' is missing" in message


def test_another_file_and_no_file_are_told(tmp_path):
    with pytest.raises(ManifestError, match="does not hold"):
        read_rsitmd(write_json(tmp_path / "x.json", {"annotations": []}))
    with pytest.raises(ConfigurationError, match="is no file"):
        read_rsitmd(tmp_path / "none.json")


def test_the_images_may_lie_elsewhere(tmp_path):
    path = write_json(tmp_path / "notes" / "d.json", {"images": [karpathy_image("park_1.tif", "x")]})
    touch(tmp_path / "images", "park_1.tif")
    assert read_rsitmd(path, tmp_path)[0].image.path == tmp_path / "images" / "park_1.tif"
