"""Precomputed regions: three kinds of files, and what may be wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlcore.data.record import ImageRef, Record
from vlcore.data.region_batch import RegionImages, pad_regions, upright_size
from vlcore.data.regions import RegionReader, Regions
from vlcore.errors import ConfigurationError, UnsafePathError

BOXES = np.array([[0, 0, 50, 40], [10, 20, 100.5, 80], [30, 30, 60, 60]], np.float32)


def values(**changes: object) -> dict[str, object]:
    random = np.random.default_rng(0)
    found: dict[str, object] = {
        "features": random.normal(size=(3, 5)).astype(np.float32),
        "boxes": BOXES,
        "image_width": 100,
        "image_height": 80,
        "class_probabilities": random.dirichlet(np.ones(4), 3).astype(np.float32),
        "confidence": np.array([0.3, 0.9, 0.5], np.float32),
    }
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def record(reference: object) -> Record:
    return Record("photo 1", ImageRef(Path("a.jpg")), meta={} if reference is None else {"regions": reference})


def write(folder: Path, kind: str, content: dict[str, object]) -> Record:
    """Write one file of a kind, and a record that names it."""
    if kind == "npz":
        np.savez(folder / "a.npz", **content)
        return record("a.npz")
    if kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "all.h5", "w") as file:
            group = file.create_group("a")
            for name, value in content.items():
                group[name] = value
        return record("all.h5::a")
    row = {name: np.asarray(value).tolist() for name, value in content.items()}
    pq.write_table(pa.Table.from_pylist([{"id": "a", **row}]), folder / "all.parquet")
    return record("all.parquet::a")


@pytest.mark.parametrize("kind", ["npz", "h5", "parquet"])
def test_all_kinds_of_files_give_the_same_regions_the_surest_first(kind, tmp_path):
    content = values()
    found = RegionReader(tmp_path, 5, most=2)(write(tmp_path, kind, content), image_size=(100, 80))
    assert np.allclose(found.features, content["features"][[1, 2]])
    # Half a pixel outside is rounding, and cut off.
    assert np.allclose(found.boxes, [[0.1, 0.25, 1.0, 1.0], [0.3, 0.375, 0.6, 0.75]])
    assert np.allclose(found.class_probabilities, content["class_probabilities"][[1, 2]], atol=1e-6)


def test_without_confidence_the_first_ones_are_kept(tmp_path):
    content = values(confidence=None, class_probabilities=None)
    found = RegionReader(tmp_path, 5, most=2)(write(tmp_path, "npz", content))
    assert np.allclose(found.features, content["features"][:2]) and found.class_probabilities is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": None}, "boxes missing; found class_probabilities, confidence, features"),
        ({"boxes": BOXES[:2]}, r"3 features and boxes of shape \[2, 4\]"),
        ({"features": np.zeros((3, 7))}, "features have 7 numbers, expected 5"),
        (
            {"boxes": BOXES + np.array([0, 0, 20, 0])},
            r"the box \[10.0, 20.0, 120.5, 80.0\] of region 1 lies outside the image",
        ),
        ({"boxes": BOXES[:, [2, 1, 0, 3]]}, "of region 0 has no area"),
        ({"features": np.full((3, 5), np.nan)}, "features of region 0 are NaN"),
        ({"image_width": 0}, "image_width is .* not a number of pixels"),
        ({"class_probabilities": np.full((3, 4), 0.3)}, "region 0 add up to 1.2, expected 1"),
        ({"class_probabilities": np.full((2, 4), 0.25)}, "3 regions and 2 rows of class_probabilities"),
        ({"confidence": np.zeros(2)}, r"confidence of shape \[2\] for 3 regions"),
        ({"features": np.zeros(15)}, r"features have the shape \[15\]"),
        ({"features": np.zeros((0, 5))}, r"0 features and boxes of shape \[3, 4\]\. Write one box per feature"),
        ({"boxes": np.zeros((0, 4))}, r"3 features and boxes of shape \[0, 4\]"),
        ({"boxes": BOXES[:, :3]}, r"boxes of shape \[3, 3\]\. A box is left, top, right, bottom"),
        ({"boxes": np.where(BOXES == 60, np.inf, BOXES)}, "boxes of region 2 are NaN or infinite: inf in column 2"),
        (
            {"boxes": np.array([[0, 0, 9, 9], [0, 0, 9, 9], [100.2, 0, 100.9, 9]])},
            "of region 2 has no area in the image",
        ),
        ({"features": np.full((3, 5), "a")}, "features are no table of numbers"),
        ({"features": np.full((3, 5), 1e300)}, "features of region 0 are NaN or infinite: inf in column 0"),
        ({"image_height": "tall"}, "image_height is .*not a number of pixels"),
        ({"confidence": np.array([1, np.nan, 1])}, "the confidence of region 1 is nan"),
        ({"confidence": np.full(3, "a")}, "confidence are no table of numbers"),
        (
            {"class_probabilities": np.array([[0.5, 0.5], [1.5, -0.5], [0.5, 0.5]])},
            "region 1 add up to 1, expected 1, and the least is -0.5",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_record_and_file(changes, message, tmp_path):
    with pytest.raises(ConfigurationError, match=rf"Record 'photo 1', a.npz: .*{message}"):
        RegionReader(tmp_path, 5)(write(tmp_path, "npz", values(**changes)))


def test_regions_of_another_image_are_refused(tmp_path):
    one = write(tmp_path, "npz", values())
    with pytest.raises(ConfigurationError, match="100 x 80 pixels, and this one has 200 x 160"):
        RegionReader(tmp_path, 5)(one, image_size=(200, 160))


def test_an_image_without_regions_is_an_error_or_has_none(tmp_path):
    one = write(tmp_path, "npz", values(features=np.zeros((0, 5)), boxes=np.zeros((0, 4)), confidence=None))
    with pytest.raises(ConfigurationError, match=r"no regions\. Lower the detector's threshold"):
        RegionReader(tmp_path, 5)(one)
    found = RegionReader(tmp_path, 5, on_empty="global")(one)
    assert found.features.shape == (0, 5) and found.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (None, "names no regions: give its row a 'regions'"),
        ("b.npz", "there is no file"),
        ("a.npz::a", "write 'file.npz'"),
        ("all.parquet", "write 'all.parquet::member'"),
        ("all.parquet::b", "has no row with the id 'b'"),
        ("a.csv", "regions are read from .npz"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(reference, message, tmp_path):
    write(tmp_path, "npz", values())
    write(tmp_path, "parquet", values())
    (tmp_path / "a.csv").touch()
    with pytest.raises(ConfigurationError, match=message):
        RegionReader(tmp_path, 5)(record(reference))


def test_no_path_leads_out_and_no_pickle_is_loaded(tmp_path):
    with pytest.raises(UnsafePathError):
        RegionReader(tmp_path, 5)(record("../a.npz"))
    np.savez(tmp_path / "a.npz", features=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ConfigurationError, match="cannot be read as plain arrays"):
        RegionReader(tmp_path, 5)(record("a.npz"))


def test_a_reader_travels_to_another_process(tmp_path):
    one = write(tmp_path, "parquet", values())
    reader = RegionReader(tmp_path, 5)
    before = reader(one)
    assert np.array_equal(pickle.loads(pickle.dumps(reader))(one).features, before.features)


def test_batches_are_padded_to_the_most_regions(tmp_path):
    one = RegionReader(tmp_path, 5)(write(tmp_path, "npz", values()))
    empty = Regions(np.zeros((0, 5), np.float32), np.zeros((0, 4), np.float32))
    batch = pad_regions([one, empty])
    assert batch.features.shape == (2, 3, 5) and batch.class_probabilities.shape == (2, 3, 4)
    assert batch.mask.tolist() == [[True] * 3, [False] * 3]
    assert not batch.features[1].any() and not batch.boxes[1].any()
    alone = pad_regions([empty])
    assert alone.features.shape == (1, 1, 5) and not alone.mask.any() and alone.class_probabilities is None
    other = Regions(one.features, one.boxes, np.full((3, 2), 0.5, np.float32))
    with pytest.raises(ConfigurationError, match="all must come from one detector"):
        pad_regions([one, other])
    read = RegionImages([record("a.npz")], RegionReader(tmp_path, 5))(np.array([0, 0]))
    assert read.features.shape == (2, 3, 5)


def test_regions_are_compared_with_their_image_as_it_is_shown(tmp_path):
    from PIL import Image

    one = write(tmp_path, "npz", values())
    shown = Record(one.id, ImageRef(tmp_path / "a.jpg"), meta=one.meta)
    Image.new("RGB", (100, 80)).save(tmp_path / "a.jpg")
    reader = RegionReader(tmp_path, 5)
    assert RegionImages([shown], reader)(np.array([0])).features.shape == (1, 3, 5)
    # A camera that was held upright writes its image lying on its side.
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 100)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(shown.image) == (100, 80)
    assert RegionImages([shown], reader)(np.array([0])).features.shape == (1, 3, 5)
    Image.new("RGB", (80, 100)).save(tmp_path / "a.jpg")
    with pytest.raises(ConfigurationError, match="100 x 80 pixels, and this one has 80 x 100"):
        RegionImages([shown], reader)(np.array([0]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "b"}, {"id": "a"}, {"id": "a"}], "rows 1 and 2 of .* have the same id 'a'. Keep one"),
        ([{"name": "a"}], "has no column 'id'; found name"),
        (
            [{"id": "a", "features": [[1.0, 2.0], [1.0]]}],
            "features of region 1 have 1 numbers and those of region 0 have 2",
        ),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_named(rows, message, tmp_path):
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "all.parquet")
    with pytest.raises(ConfigurationError, match=message):
        RegionReader(tmp_path, 5)(record("all.parquet::a"))


@pytest.mark.parametrize("name", ["all.parquet", "all.h5"])
def test_a_damaged_file_is_named(name, tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(ConfigurationError, match=rf"Record 'photo 1', {name}::a: .* cannot be read"):
        RegionReader(tmp_path, 5)(record(f"{name}::a"))


def test_rows_of_parquet_may_be_null_or_empty(tmp_path):
    content = {name: np.asarray(value).tolist() for name, value in values(class_probabilities=None).items()}
    rows = [{"id": "a", **content, "confidence": None}, {"id": "b", **content, "features": [], "boxes": []}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "all.parquet")
    reader = RegionReader(tmp_path, 5, on_empty="global")
    assert np.allclose(reader(record("all.parquet::a")).features, content["features"])
    assert reader(record("all.parquet::b")).features.shape == (0, 5)


@pytest.mark.parametrize("link", ["group", "data set", "through a group", "virtual"])
def test_no_link_inside_hdf5_leads_out(link, tmp_path):
    h5py = pytest.importorskip("h5py")
    write(tmp_path, "h5", values())
    (tmp_path / "root").mkdir()
    with h5py.File(tmp_path / "root" / "all.h5", "w") as file:
        if link == "group":
            file["a"] = h5py.ExternalLink("../all.h5", "a")
        else:
            group = file.create_group("a")
            for name, value in values(features=None).items():
                group[name] = value
            if link == "data set":
                group["features"] = h5py.ExternalLink("../all.h5", "a/features")
            elif link == "through a group":
                file["b"] = h5py.ExternalLink("../all.h5", "a")
                group["features"] = h5py.SoftLink("/b/features")
            else:
                layout = h5py.VirtualLayout((3, 5), "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "all.h5"), "a/features", (3, 5))
                group.create_virtual_dataset("features", layout)
    with pytest.raises(UnsafePathError, match=r"is a link out of .* Copy the data into the file"):
        RegionReader(tmp_path / "root", 5)(record("all.h5::a"))


def test_links_to_nothing_and_groups_in_groups_are_no_data(tmp_path):
    h5py = pytest.importorskip("h5py")
    one = write(tmp_path, "h5", values(features=None))
    with h5py.File(tmp_path / "all.h5", "a") as file:
        file.create_group("a/more")
        file["a/features"] = h5py.SoftLink("/nowhere")
    with pytest.raises(ConfigurationError, match="features missing; found boxes, "):
        RegionReader(tmp_path, 5)(one)


def test_an_image_too_large_to_open_has_no_size(tmp_path):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert upright_size(ImageRef(tmp_path / "a.png")) is None
