from __future__ import annotations

import json

import pytest
from reader_trees import amfmn

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.amfmn import read_amfmn


def test_names_once_an_image_and_once_a_caption(tmp_path):
    first, second, third = read_amfmn(amfmn(tmp_path))
    assert [record.id for record in (first, second, third)] == ["airport_1.jpg", "airport_2.jpg", "00623.jpg"]
    assert [record.split for record in (first, second, third)] == ["train", "train", "test"]
    assert [text.text for text in second.texts] == [f"caption {number} ." for number in range(5, 10)]
    assert [text.text for text in third.texts] == [f"sea {number} ." for number in range(5)]
    assert (first.labels, third.labels) == ({"label": "airport"}, {})


def test_blank_lines_keep_their_place_and_are_counted(tmp_path):
    folder = amfmn(tmp_path)
    (folder / "train_caps.txt").write_text("a\n\nb\n \nc\n1\n2\n3\n4\n\n")
    with pytest.warns(UserWarning, match=r"rsicd_precomp: left out 3 blank captions\."):
        first, second, _ = read_amfmn(folder)
    assert [text.text for text in first.texts] == ["a", "b", "c"]
    assert [text.text for text in second.texts] == ["1", "2", "3", "4"]


def test_an_image_in_two_splits_or_without_captions_is_refused(tmp_path):
    folder = amfmn(tmp_path)
    (folder / "test_filename.txt").write_text("airport_1.jpg\n" * 5)
    with pytest.raises(ManifestError, match=r"the id 'airport_1.jpg' is also on train_filename.txt, line 1"):
        read_amfmn(folder)
    (folder / "test_filename.txt").write_text("00623.jpg\n" * 5)
    (folder / "test_caps.txt").write_text("\n" * 5)
    with pytest.raises(ManifestError, match=r"line 1 \(00623.jpg\): has no caption"):
        read_amfmn(folder)


def test_names_that_do_not_go_with_the_captions_are_told(tmp_path):
    folder = amfmn(tmp_path)
    (folder / "test_filename.txt").write_text("00623.jpg\n00623.jpg\nairport_1.jpg\n00623.jpg\n00623.jpg\n")
    with pytest.raises(ManifestError, match=r"lines 1 to 5 must name one image, and they name 00623.jpg, airport_1"):
        read_amfmn(folder)
    (folder / "test_filename.txt").write_text("00623.jpg\n" * 4)
    with pytest.raises(ManifestError, match=r"test_filename.txt: has 4 lines for 5 captions"):
        read_amfmn(folder)
    (folder / "test_filename.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"test_filename\.txt is no file"):
        read_amfmn(folder)


def test_bytes_that_are_no_text_and_another_folder_are_told(tmp_path):
    folder = amfmn(tmp_path)
    (folder / "test_caps.txt").write_bytes(b"a\n\xff\nb\nc\nd\n")
    with pytest.raises(ManifestError, match=r"test_caps\.txt: 1 problem(.|\n)*line 2: byte 1 \(0xFF\) is not UTF-8"):
        read_amfmn(folder)
    with pytest.raises(ConfigurationError, match=r"has no train_caps\.txt, val_caps\.txt or test_caps\.txt"):
        read_amfmn(tmp_path)


def test_the_real_captions_in_this_form(data_root, tmp_path):
    source = data_root / "remote_sensing" / "rsicd"
    rows = [json.loads(line) for line in (source / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    for split, per_caption in (("train", 1), ("test", 5)):
        part = [row for row in rows if row["split"] == split]
        captions = "".join(f"{caption}\n" for row in part for caption in row["captions"])
        (tmp_path / f"{split}_caps.txt").write_text(captions, encoding="utf-8")
        (tmp_path / f"{split}_filename.txt").write_text("".join(f"{row['image']}\n" * per_caption for row in part))
    records = {record.id: record for record in read_amfmn(tmp_path, source)}
    assert len(records) == len(rows) == 2893
    for row in rows:
        record = records[row["image"]]
        assert [text.text for text in record.texts] == [" ".join(caption.split()) for caption in row["captions"]]
        assert record.split == row["split"]
