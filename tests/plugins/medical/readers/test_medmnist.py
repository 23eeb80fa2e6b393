"""The reader of MedMNIST, on small archives in its layout."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlcore.data.source import read_bytes
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.medmnist import read_medmnist

SIZES = {"train": 4, "val": 2, "test": 1}


def arrays(colour: bool = True, labels: int = 1) -> dict[str, Any]:
    """What the archive holds."""
    draw = np.random.default_rng(0)
    shape = (28, 28, 3) if colour else (28, 28)
    made: dict[str, Any] = {}
    for split, size in SIZES.items():
        made[f"{split}_images"] = draw.integers(0, 256, (size, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = draw.integers(0, 2, (size, labels), dtype=np.uint8)
    return made


def tree(folder: Path, **changed: Any) -> Path:
    """Write an archive as numpy.savez_compressed does."""
    path = folder / "pathmnist.npz"
    np.savez_compressed(path, **{**arrays(), **changed})
    return path


@pytest.mark.parametrize("colour", [True, False])
def test_images_are_the_same_pixel_by_pixel(tmp_path: Path, colour: bool) -> None:
    made = arrays(colour)
    records = read_medmnist(tree(tmp_path, **made))
    assert [record.id for record in records] == [f"{split}/{n}" for split, size in SIZES.items() for n in range(size)]
    for record in records:
        split, number = record.id.split("/")
        pixels = np.asarray(Image.open(io.BytesIO(read_bytes(record.image))))
        assert np.array_equal(pixels, made[f"{split}_images"][int(number)])
        assert record.labels == {"label": int(made[f"{split}_labels"][int(number), 0])}
        assert record.split == split


def test_several_labels_are_those_that_are_set(tmp_path: Path) -> None:
    made = arrays(labels=14)
    made["train_labels"][0] = 0
    made["train_labels"][1] = [0, 1] + 11 * [0] + [1]
    records = read_medmnist(tree(tmp_path, **made))
    assert records[0].labels == {"labels": []}
    assert records[1].labels == {"labels": [1, 13]}


def test_the_table_is_written_once_and_again_when_the_archive_changes(tmp_path: Path) -> None:
    path = tree(tmp_path)
    first = read_medmnist(path)
    table = tmp_path / "pathmnist.parquet"
    before = table.stat().st_mtime_ns
    assert read_medmnist(path) == first
    assert table.stat().st_mtime_ns == before
    black = np.zeros((4, 28, 28, 3), dtype=np.uint8)
    records = read_medmnist(tree(tmp_path, train_images=black))
    assert not np.asarray(Image.open(io.BytesIO(read_bytes(records[0].image)))).any()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pathmnist.npz", "pathmnist.parquet"]


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    path = tree(tmp_path, test_labels=np.array([[Trap()]], dtype=object))
    with pytest.raises(ManifestError, match=r"test_labels is object \[1, 1\], which cannot be .* without a pickle"):
        read_medmnist(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", pickle.dumps(Trap()))
    with pytest.raises(ManifestError, match=r"is no \.npz of MedMNIST: .*magic"):
        read_medmnist(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": np.zeros((4, 28, 28, 28), np.uint8)}, "train_images: is [4, 28, 28, 28]: volumes."),
        ({"train_images": np.zeros((4, 28, 28), np.float32)}, "train_images: is float32 [4, 28, 28]. Images must be"),
        ({"val_labels": np.zeros(2, np.uint8)}, "val_labels: is uint8 [2]. Labels must be whole numbers [N, L]."),
        ({"val_labels": np.zeros((2, 1))}, "val_labels: is float64 [2, 1]."),
        ({"test_labels": np.zeros((3, 1), np.uint8)}, "test_labels: holds 3 rows for 1 images."),
    ],
)
def test_other_arrays_are_told(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_medmnist(tree(tmp_path, **changed))
    assert message in str(caught.value)
    assert not (tmp_path / "pathmnist.parquet").exists()


def test_a_damaged_table_is_written_again(tmp_path: Path) -> None:
    path = tree(tmp_path)
    (tmp_path / "pathmnist.parquet").write_bytes(b"PAR1")
    assert len(read_bytes(read_medmnist(path)[0].image)) > 0


def test_a_table_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tree(tmp_path)
    (tmp_path / "pathmnist.parquet").mkdir()
    with pytest.raises(ConfigurationError, match=r"pathmnist\.parquet cannot be written: .*Copy the \.npz to a folder"):
        read_medmnist(path)


def test_another_file_is_told(tmp_path: Path) -> None:
    path = tree(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ManifestError, match=r"the file: is no \.npz of MedMNIST: .*Download it again"):
        read_medmnist(path)
    np.savez(path, train_images=arrays()["train_images"])
    with pytest.raises(ManifestError, match=r"train_labels\.npy"):
        read_medmnist(path)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_medmnist(tmp_path / "nowhere.npz")
