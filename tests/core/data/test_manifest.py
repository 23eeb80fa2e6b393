"""Manifests of every form give the same records, and every bad row is named with its place."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlcore.data.decode import decode_image
from vlcore.data.manifest import open_manifest, read_records
from vlcore.data.source import read_bytes
from vlcore.errors import ConfigurationError, ManifestError, VlcoreError

CAPTIONS = {"a": ["a red square", "red all over"], "b": ["a green square"], "c": ["a blue square"]}
COLOURS = {"a": (200, 30, 30), "b": (30, 200, 30), "c": (30, 30, 200)}


def png(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), COLOURS[name]).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in COLOURS:
        (tmp_path / f"{name}.png").write_bytes(png(name))
    return tmp_path


def jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "captions.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def write_csv(folder: Path) -> Path:
    path = folder / "captions.csv"
    path.write_bytes(
        b'\xef\xbb\xbfimage,text\r\na.png,"a red square"\r\nb.png,a green square\r\nc.png,a blue square\r\n'
    )
    return path


def write_parquet_paths(folder: Path) -> Path:
    table = pa.table({"image": [f"{name}.png" for name in CAPTIONS], "texts": list(CAPTIONS.values())})
    pq.write_table(table, folder / "captions.parquet")
    return folder / "captions.parquet"


def write_parquet_bytes(folder: Path) -> Path:
    images = [{"bytes": png(name), "path": f"{name}.png"} for name in CAPTIONS]
    table = pa.table({"image": images, "text": [texts[0] for texts in CAPTIONS.values()], "id": list(CAPTIONS)})
    pq.write_table(table, folder / "bytes.parquet", row_group_size=2)
    return folder / "bytes.parquet"


def write_folder(folder: Path) -> Path:
    for name, texts in CAPTIONS.items():
        (folder / f"{name}.txt").write_text("\n".join(texts))
    return folder


def write_tar(folder: Path) -> Path:
    path = folder / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for name, texts in CAPTIONS.items():
            for suffix, data in (("png", png(name)), ("txt", texts[0].encode())):
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "write", [write_csv, write_parquet_paths, write_parquet_bytes, write_folder, write_tar], ids=lambda w: w.__name__
)
def test_every_form_gives_images_with_their_captions(write, images: Path) -> None:
    manifest = open_manifest(write(images))
    records = list(manifest)
    assert len(manifest) == len(records) == 3
    for name, record in zip(CAPTIONS, records, strict=True):
        assert record.texts[0].text == CAPTIONS[name][0]
        pixels = decode_image(record.image, sample_id=record.id)
        np.testing.assert_array_equal(pixels[0, 0], COLOURS[name])
    assert [record.id for record in manifest] == [record.id for record in records], "it can be read again"


def test_a_hugging_face_folder_is_read_with_its_splits(images: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {
        "image": [{"bytes": png(name), "path": None} for name in CAPTIONS],
        "text": [t[0] for t in CAPTIONS.values()],
    }
    whole = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": whole.select([0, 1]), "test": whole.select([2])}).save_to_disk(images / "saved")
    records = read_records(images / "saved")
    assert sorted((record.split, record.texts[0].text) for record in records) == [
        ("test", "a blue square"),
        ("train", "a green square"),
        ("train", "a red square"),
    ]
    assert all(read_bytes(record.image).startswith(b"\x89PNG") for record in records)


def test_jsonl_keys_go_where_they_belong(images: Path) -> None:
    row = {
        "image": "a.png",
        "captions": {"en": ["a red square"], "de": "ein rotes Quadrat"},
        "group": "g1",
        "split": "train",
        "label": "red",
        "year": 2020,
    }
    (record,) = read_records(jsonl(images, row))
    assert record.id == "a.png"
    assert {(text.lang, text.text) for text in record.texts} == {("en", "a red square"), ("de", "ein rotes Quadrat")}
    assert (record.group, record.split, record.labels["label"], record.meta["year"]) == ("g1", "train", "red", 2020)


def test_language_filter_keeps_regions_and_unknown_languages(images: Path) -> None:
    texts = [{"text": "colour", "lang": "en-GB"}, {"text": "Farbe", "lang": "de"}, "color"]
    manifest = open_manifest(jsonl(images, {"image": "a.png", "texts": texts}), lang="en")
    assert [text.text for text in next(iter(manifest)).texts] == ["colour", "color"]
    assert manifest.texts_dropped == 1


def test_columns_may_have_other_names(images: Path) -> None:
    path = jsonl(images, {"file": "a.png", "patient": "p7", "text": "red"})
    (record,) = read_records(path, columns={"image": "file", "group": "patient"})
    assert record.group == "p7"


def test_all_bad_rows_are_listed_with_their_lines(images: Path) -> None:
    path = jsonl(
        images,
        {"image": "a.png", "text": "fine"},
        '{"image": "b.png", ',
        {"text": "no image"},
        {"image": "missing.png", "text": "x"},
        {"image": "b.png", "text": "  "},
        {"image": "c.png", "text": 7},
        {"image": "a.png", "text": "again"},
        "",
        {"image": "c.png", "id": "other", "text": "fine"},
    )
    with pytest.raises(ManifestError) as caught:
        open_manifest(path)
    message = str(caught.value)
    assert caught.value.total >= 6
    for place, part in ((2, "JSON"), (3, "image"), (4, "missing.png"), (5, "empty"), (6, "7"), (7, "a.png")):
        line = next(line for line in message.splitlines() if f"line {place}:" in line)
        assert part in line, line
    assert "line 9:" not in message


@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "sub/../../outside.png", "a\0.png"])
def test_paths_that_lead_out_are_refused(name: str, images: Path) -> None:
    folder = images / "inner"
    folder.mkdir()
    (images / "outside.png").write_bytes(png("a"))
    with pytest.raises(ManifestError, match="line 1"):
        open_manifest(jsonl(folder, {"image": name, "text": "x"}))


def test_links_that_lead_out_are_refused(images: Path) -> None:
    folder = images / "inner"
    folder.mkdir()
    (folder / "link.png").symlink_to(images / "a.png")
    with pytest.raises(ManifestError, match=r"link\.png"):
        open_manifest(jsonl(folder, {"image": "link.png", "text": "x"}))


def test_bytes_that_are_no_utf8_are_placed(images: Path) -> None:
    path = images / "captions.jsonl"
    path.write_bytes(b'{"image": "a.png", "text": "ok"}\n{"image": "b.png", "text": "caf\xe9"}\n')
    with pytest.raises(ManifestError, match="line 2"):
        open_manifest(path)


def test_csv_with_a_wrong_number_of_fields_names_the_line(images: Path) -> None:
    path = images / "captions.csv"
    path.write_text("image,text\na.png,red\nb.png,green,too much\n")
    with pytest.raises(ManifestError, match="line 3"):
        open_manifest(path)


def test_csv_without_an_image_column_names_what_it_has(images: Path) -> None:
    path = images / "captions.csv"
    path.write_text("picture,caption\na.png,red\n")
    with pytest.raises(VlcoreError, match="picture"):
        open_manifest(path)


def tar_with(folder: Path, name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> Path:
    path = folder / "bad.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        data = png("a") if kind == tarfile.REGTYPE else b""
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../a.png", tarfile.REGTYPE, ""),
        ("/tmp/a.png", tarfile.REGTYPE, ""),
        ("a.png", tarfile.SYMTYPE, "/etc/passwd"),
        ("a.png", tarfile.LNKTYPE, "../b.png"),
    ],
)
def test_archives_with_unsafe_members_are_refused(name: str, kind: bytes, target: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        open_manifest(tar_with(tmp_path, name, kind, target))
    assert {path.name for path in tmp_path.iterdir()} == {"bad.tar"}, "nothing is unpacked"


def test_a_truncated_archive_is_an_error(images: Path) -> None:
    path = write_tar(images)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ManifestError):
        open_manifest(path)


def test_no_such_manifest_lists_the_forms(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="JSON Lines"):
        open_manifest(tmp_path / "none.jsonl")


def test_fingerprint_follows_content_and_not_place(images: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [{"image": f"{name}.png", "texts": texts} for name, texts in CAPTIONS.items()]
    first = open_manifest(jsonl(images, *rows)).fingerprint()
    other = tmp_path_factory.mktemp("elsewhere")
    for name in COLOURS:
        (other / f"{name}.png").write_bytes(png(name))
    assert open_manifest(jsonl(other, *rows)).fingerprint() == first
    assert open_manifest(jsonl(other, *rows[::-1])).fingerprint() != first
    rows[0]["texts"] = ["another text"]
    assert open_manifest(jsonl(other, *rows)).fingerprint() != first


def test_real_manifests_open_as_they_are(data_root: Path) -> None:
    photos = open_manifest(data_root / "general" / "flickr8k" / "captions.jsonl", lang="en")
    assert len(photos) == 1000 and photos.texts_dropped > 0
    assert sum(len(record.texts) for record in photos) >= 4990
    tiles = read_records(data_root / "remote_sensing" / "rsicd" / "captions.jsonl")
    assert len(tiles) == 2893
    assert sum(record.split == "test" for record in tiles) == 1093
    assert {record.labels["label"] for record in tiles} >= {"airport", "beach"}
