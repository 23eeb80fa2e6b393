from __future__ import annotations

import pickle

import pytest
from reader_trees import skyscript, skyscript_benchmark, write_csv

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.skyscript import read_skyscript, read_skyscript_benchmark


def test_captions_and_the_object_that_the_file_name_tells(tmp_path):
    first, second = read_skyscript(skyscript(tmp_path))
    assert [(text.text, text.kind) for text in first.texts] == [
        ("a solar farm", "caption"),
        ("a solar farm, a road and a wood", "caption_multi_objects"),
    ]
    assert (first.group, first.split) == ("a198234555", "train")
    assert first.meta == {"osm_type": "area", "osm_id": 198234555, "source": "CH", "year": 2019}
    assert [text.text for text in second.texts] == ["a park"]  # the second title says no more
    assert (second.group, second.meta) == (None, {})


def test_the_column_of_several_objects_may_be_missing(tmp_path):
    skyscript(tmp_path)
    rows = [("filepath", "title"), ("images7/renamed.jpg", 'a park, "green"')]
    (record,) = read_skyscript(write_csv(tmp_path / "captions.csv", rows))
    assert ([text.text for text in record.texts], record.split) == (['a park, "green"'], None)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_are_never_loaded(tmp_path):
    path = skyscript(tmp_path)
    for name in ("meta2/a198234555_CH_19.pickle", "images2/a198234555_CH_19.pickle"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    assert len(read_skyscript(path)) == 2
    assert not (tmp_path / "exploded").exists()


def test_bad_lines_are_listed_together(tmp_path):
    skyscript(tmp_path)
    rows = [
        ("filepath", "title"),
        ("images7/renamed.jpg", " "),
        ("images7/gone.jpg", "x"),
        ("../up.jpg", "x"),
        ("images7/renamed.jpg", "x", "y"),
    ]
    with pytest.raises(ManifestError) as caught:
        read_skyscript(write_csv(tmp_path / "SkyScript_val.csv", rows))
    message = str(caught.value)
    for part in (
        "line 2: 'title' is blank",
        "line 3: the image 'images7/gone.jpg' is not in",
        "line 4: the image path '../up.jpg' leads out of",
        "line 5: has 3 cells where the header has 2. Quote cells with commas.",
    ):
        assert part in message


def test_a_file_that_is_no_table_of_the_data_set_is_told(tmp_path):
    path = tmp_path / "x.csv"
    for content, message in (
        (b"image,caption\n", "has no column filepath, title; its header is: image, caption"),
        (b"", "its header is: nothing"),
        (b'filepath,title\n"a.jpg,x\n', "line 2: is no valid row"),
        (b"filepath,title\na.jpg,\xff\n", "byte 22: fits none of the encodings utf-8-sig"),
        (b"filepath,title\n", "holds no rows"),
    ):
        path.write_bytes(content)
        with pytest.raises(ManifestError) as caught:
            read_skyscript(path)
        assert message in str(caught.value)


def test_labels_of_a_benchmark_are_names_or_numbers(tmp_path):
    first, second = read_skyscript_benchmark(skyscript_benchmark(tmp_path))
    assert (first.labels, second.labels) == ({"label": "baseball field"}, {"label": "bare land"})
    assert (first.split, first.texts) == ("test", ())


def test_labels_that_are_no_class_are_told(tmp_path):
    path = skyscript_benchmark(tmp_path)
    write_csv(path, [("filepath", "label"), ("images/1.jpg", "2"), ("images/2.jpg", "moon")])
    with pytest.raises(ManifestError) as caught:
        read_skyscript_benchmark(path)
    assert "line 2: the label '2' is none of the 2 classes of classnames.txt" in str(caught.value)
    assert "line 3: the label 'moon' is none of the 2 classes" in str(caught.value)
    (tmp_path / "classnames.txt").write_bytes(b"\xff\n")
    with pytest.raises(ManifestError, match=r"classnames\.txt: 1 problem(.|\n)*line 1: byte 1 \(0xFF\) is not UTF-8"):
        read_skyscript_benchmark(path)
    (tmp_path / "classnames.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"classnames\.txt is missing\. Copy it there"):
        read_skyscript_benchmark(path)
