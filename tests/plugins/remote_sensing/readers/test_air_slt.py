from __future__ import annotations

import pytest
from reader_trees import air_slt, touch, write_json

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.air_slt import read_air_slt


def test_sentences_with_their_polygons(tmp_path):
    first, second = read_air_slt(air_slt(tmp_path))
    assert (first.id, first.group, first.texts[0].text) == ("0.jpg/1", "0.jpg", "there is a green pond .")
    assert first.meta["polygons"] == [[[10.5, 20.0], [30, 20], [30, 40], [10, 40]]]
    assert [len(polygon) for polygon in second.meta["polygons"]] == [4, 5]
    assert first.image.path == tmp_path / "imgs" / "0.jpg"


def test_the_scenes_may_lie_elsewhere(tmp_path):
    air_slt(tmp_path)
    (tmp_path / "imgs").rename(tmp_path / "scenes")
    assert read_air_slt(tmp_path, tmp_path / "scenes")[0].image.path == tmp_path / "scenes" / "0.jpg"
    with pytest.raises(ManifestError, match=r"the image '0.jpg' is not in"):
        read_air_slt(tmp_path)


def test_bad_sentences_are_listed_together(tmp_path):
    touch(tmp_path / "imgs", "0.jpg")
    good = [[1, 2], [3, 4], [5, 6]]
    row = {"caption": "x", "jpg_name": "0.jpg", "points": [good]}
    rows = [
        {**row, "caption": "\n"},
        {**row, "points": []},
        {**row, "points": [good, good[:2]]},
        {**row, "points": [[[1, 2], [3, 4], [5, "6"]]]},
        {**row, "points": [[[1, 2], [3, 4], [5, float("nan")]]]},
        {**row, "points": [[1, 2, 3]]},
        {**row, "jpg_name": "../0.jpg"},
    ]
    write_json(tmp_path / "annotations" / "anno.json", rows)
    with pytest.raises(ManifestError) as caught:
        read_air_slt(tmp_path)
    message = str(caught.value)
    for part in (
        "sentence 1 (0.jpg): 'caption' is blank",
        "sentence 2 (0.jpg): 'points' is empty",
        "sentence 3 (0.jpg): polygon 2 is [[1, 2], [3, 4]]. It needs at least three points [x, y].",
        "sentence 4 (0.jpg): polygon 1 is",
        "sentence 5 (0.jpg): polygon 1 is",
        "sentence 6 (0.jpg): polygon 1 is [1, 2, 3]",
        "sentence 7 (../0.jpg): The path '../0.jpg' leads out of",
    ):
        assert part in message


def test_another_folder_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"annotations/anno\.json is no file"):
        read_air_slt(tmp_path)
