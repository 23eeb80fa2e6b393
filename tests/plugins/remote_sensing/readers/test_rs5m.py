from __future__ import annotations

import io
import tarfile

import pytest
from reader_trees import rs5m, rs5m_captions, rs5m_sample, touch, write_csv, write_tar

from vlcore.data.source import read_bytes
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.rs5m import read_rs5m, read_rs5m_captions


def test_members_of_all_tars_are_read_where_they_stand(tmp_path):
    first, second, third = read_rs5m(rs5m(tmp_path))
    assert [record.id for record in (first, second, third)] == [
        "pub11-train-0000/000",
        "pub11-train-0000/001",
        "rs3-val-0000/000",
    ]
    assert [record.split for record in (first, second, third)] == ["train", "train", "val"]
    assert (first.texts[0].text, first.meta) == ("a bay .", {"img_name": "name 000.jpg"})
    assert read_bytes(second.image) == b"image 001"
    assert len(read_rs5m(tmp_path / "val" / "rs3-val-0000.tar")) == 1


def test_bad_samples_are_listed_together(tmp_path):
    whole = rs5m_sample("000", "x")
    path = write_tar(
        tmp_path / "pub11-train-0000.tar",
        [
            *whole,
            *rs5m_sample("001", " "),
            *rs5m_sample("002", "x")[:2],
            *whole[:1],
            *whole[:1],
            ("003.img_name", b"n"),
            ("003.img_content", b"i"),
            ("003.caption", b"\xff"),
        ],
    )
    with pytest.raises(ManifestError) as caught:
        read_rs5m(path)
    message = str(caught.value)
    for part in (
        "pub11-train-0000.tar, sample '001': the caption is blank",
        "pub11-train-0000.tar, sample '002': has no member caption; its members are img_content, img_name",
        "pub11-train-0000.tar, member '000.img_name': comes twice",
        "pub11-train-0000.tar, sample '003': byte 1 (0xFF) is not UTF-8",
    ):
        assert part in message


def test_links_and_paths_out_of_a_tar_are_refused(tmp_path):
    path = tmp_path / "rs3-val-0000.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("000.img_content")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        out = tarfile.TarInfo("../001.caption")
        archive.addfile(out, io.BytesIO())
    with pytest.raises(ManifestError) as caught:
        read_rs5m(path)
    assert "member '000.img_content': is a link to '/etc/passwd'" in str(caught.value)
    assert "member '../001.caption': leads out of the archive" in str(caught.value)


def test_a_cut_tar_and_a_folder_without_tars_are_told(tmp_path):
    path = write_tar(tmp_path / "data" / "pub11-train-0000.tar", rs5m_sample("000", "x"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ManifestError, match="is no whole tar"):
        read_rs5m(path.parent)
    with pytest.raises(ConfigurationError, match="is no tar and holds none"):
        read_rs5m(touch(tmp_path / "empty", "a.txt"))


def test_captions_of_one_image_come_together(tmp_path):
    first, second = read_rs5m_captions(rs5m_captions(tmp_path))
    assert ([text.text for text in first.texts], second.id) == (["first .", "second ."], "b.jpg")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_lists_in_other_encodings_and_without_a_header(tmp_path, encoding):
    touch(tmp_path, "港口.jpg")
    path = write_csv(tmp_path / "list.csv", [("港口.jpg", "船“很”大 .")], encoding)
    (record,) = read_rs5m_captions(path)
    assert (record.id, record.texts[0].text) == ("港口.jpg", "船“很”大 .")


def test_bad_lines_of_a_list_are_listed_together(tmp_path):
    touch(tmp_path, "a.jpg")
    path = write_csv(tmp_path / "list.csv", [("a.jpg", " "), ("a.jpg",), ("gone.jpg", "x"), ("../a.jpg", "x")])
    with pytest.raises(ManifestError) as caught:
        read_rs5m_captions(path)
    message = str(caught.value)
    for part in (
        "line 1: the caption of 'a.jpg' is blank",
        "line 2: has one cell, 'a.jpg'",
        "line 3: the image 'gone.jpg' is not in",
        "line 4: the image path '../a.jpg' leads out of",
    ):
        assert part in message
    path.write_bytes(b"a.jpg,\xff\xff\n")
    with pytest.raises(ManifestError, match="fits none of the encodings utf-8-sig, gb18030"):
        read_rs5m_captions(path)
