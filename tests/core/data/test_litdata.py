"""Folders that litdata optimised, written by litdata itself."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.decode import decode_image
from vlcore.data.litdata_items import read_litdata_image
from vlcore.data.manifest import open_manifest
from vlcore.data.source import read_bytes
from vlcore.errors import ImageDecodeError, ManifestError, UnsafePathError

pytest.importorskip("litdata", reason='needs pip install "vlcore[datasets]"')


def png(number):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), (number, 2 * number, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder, items, chunk_items=3):
    """Chunks of a few items each, so that reading crosses them."""
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_size=chunk_items)
    for number, item in enumerate(items):
        writer[number] = item
    writer.done()
    writer.merge()
    return folder


def items(count=10):
    return [
        {"image": png(number), "text": f"square {number} ü", "label": f"l{number % 2}", "split": "train"}
        for number in range(count)
    ]


def test_items_become_records_whose_images_are_read_in_any_order(tmp_path):
    manifest = open_manifest(write(tmp_path / "set", items()))
    records = list(manifest)
    assert (manifest.format, len(manifest), len(list((tmp_path / "set").glob("*.bin")))) == ("litdata", 10, 4)
    for number in (9, 0, 4, 5, 1):
        record = records[number]
        assert (record.id, record.texts[0].text, record.split) == (str(number), f"square {number} ü", "train")
        assert record.labels == {"label": f"l{number % 2}"}
        assert read_bytes(record.image) == png(number)
        np.testing.assert_array_equal(decode_image(record.image, sample_id="x")[0, 0], (number, 2 * number, 200))


def test_threads_read_at_once(tmp_path):
    records = list(open_manifest(write(tmp_path / "set", items(30), chunk_items=4)))
    order = np.random.default_rng(0).permutation(30).tolist() * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: read_bytes(records[number].image), order))
    assert found == [png(number) for number in order]


def test_a_data_module_takes_it(tmp_path):
    data = ManifestDataModule(str(write(tmp_path / "set", items())), batch_size=4, val_fraction=0)
    assert len(data.selection.records("train")) == 10


def test_keys_may_have_other_names(tmp_path):
    folder = write(tmp_path / "set", [{"jpg": png(1), "words": "a square"}])
    (record,) = open_manifest(folder, columns={"image": "jpg", "text": "words"})
    assert record.texts[0].text == "a square"
    assert read_bytes(record.image) == png(1)


def test_images_that_are_not_encoded_bytes_are_listed(tmp_path):
    decoded = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(ManifestError) as caught:
        open_manifest(write(tmp_path / "decoded", [{"image": decoded, "text": "a"}, {"image": decoded, "text": "b"}]))
    assert len(caught.value.problems) == 2
    assert "item 0: 'image' is a ndarray. Write the encoded file" in str(caught.value)
    with pytest.raises(ManifestError, match="'image' is missing"):
        open_manifest(write(tmp_path / "none", [{"text": "a"}]))
    with pytest.raises(ManifestError, match="item 0: is a int"):
        open_manifest(write(tmp_path / "number", [1, 2]))


def test_an_item_that_is_not_there_is_none(tmp_path):
    index = write(tmp_path / "set", items(2)) / "index.json"
    assert read_litdata_image(index, "image:1") == png(1)
    for member in ("image:2", "picture:0", "image:-1", "image:x", "image"):
        assert read_litdata_image(index, member) is None


def test_a_damaged_folder_is_told(tmp_path):
    folder = write(tmp_path / "set", items(4))
    index = json.loads((folder / "index.json").read_text())
    (folder / index["chunks"][1]["filename"]).unlink()
    with pytest.raises(ManifestError, match=r"chunk-0-1.bin: there is no such chunk"):
        open_manifest(folder)
    index["chunks"][1]["filename"] = "../elsewhere.bin"
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafePathError):
        open_manifest(folder)


def test_a_chunk_that_goes_away_is_an_image_that_cannot_be_read(tmp_path):
    folder = write(tmp_path / "set", items(9))
    records = list(open_manifest(folder))
    gone = json.loads((folder / "index.json").read_text())["chunks"][2]["filename"]
    (folder / gone).write_bytes(b"")
    assert read_bytes(records[0].image) == png(0)
    with pytest.raises(ImageDecodeError, match="litdata cannot read item 8"):
        for _ in range(2):
            decode_image(records[8].image, sample_id="8")


def test_another_index_is_no_litdata_folder(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"chunks": []}))
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "a.txt").write_text("a square")
    assert open_manifest(tmp_path).format == "folder"
