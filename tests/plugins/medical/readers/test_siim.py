"""The reader of SIIM-ACR Pneumothorax, on a small tree in its layout; masks against a slow decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vlcore.data.reader import RowError
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.siim import decode_rle, read_siim


def tree(folder: Path, *rows: str) -> Path:
    """Write a data set; without rows, of one image with two masks and one with none."""
    rows = rows or ("1.2.3,10 5 20 2", "1.2.4,-1", "1.2.3,2000 1")
    for name in ("a/b/1.2.3.dcm", "c/1.2.4.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"pixels")
    path = folder / "train-rle.csv"
    path.write_text("\n".join(["ImageId, EncodedPixels", *rows]) + "\n")
    return path


def test_one_record_for_each_image(tmp_path: Path) -> None:
    first, second = read_siim(tree(tmp_path))
    assert (first.id, first.labels, first.meta) == (
        "1.2.3",
        {"pneumothorax": True},
        {"rle": ["10 5 20 2", "2000 1"]},
    )
    assert (second.id, second.labels, second.meta) == ("1.2.4", {"pneumothorax": False}, {})
    assert first.image.path == tmp_path / "a" / "b" / "1.2.3.dcm"
    assert second.image.path == tmp_path / "c" / "1.2.4.png"


def test_steps_are_relative_and_pixels_go_down_the_columns() -> None:
    mask = decode_rle("1 2 3 1", height=3, width=4)
    slow = np.zeros((3, 4), dtype=bool)
    for pixel in (1, 2, 6):
        slow[pixel % 3, pixel // 3] = True
    assert np.array_equal(mask, slow)


def test_any_mask_comes_back() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        mask = draw.random((7, 5)) < 0.4
        mask[0, 0] = True
        pairs, end, pixel = [], 0, 0
        flat = [bool(mask[place % 7, place // 7]) for place in range(35)]
        while pixel < 35:
            if not flat[pixel]:
                pixel += 1
                continue
            length = 0
            while pixel + length < 35 and flat[pixel + length]:
                length += 1
            pairs += [pixel - end, length]
            pixel = end = pixel + length
        assert np.array_equal(decode_rle(" ".join(map(str, pairs)), height=7, width=5), mask)


def test_a_mask_that_is_none_is_told() -> None:
    with pytest.raises(RowError, match=r"ends at pixel 13 of 12. Its steps must be relative"):
        decode_rle("10 3", height=3, width=4)
    with pytest.raises(RowError, match="must be pairs of whole numbers"):
        decode_rle("10", height=3, width=4)


def test_mistakes_are_named(tmp_path: Path) -> None:
    rows = ("1.2.3,1 2", "1.2.3,-1", "1.2.4,1 x", "1.2.5,-1", ",-1", "1.2.6,1 2,3", "../1.2.3,-1", "1.2.7,")
    with pytest.raises(ManifestError) as caught:
        read_siim(tree(tmp_path, *rows))
    for part in (
        "line 2: the image '1.2.3' has both masks and '-1' for none",
        "line 4: the mask '1 x' must be pairs of whole numbers",
        "line 5: the image '1.2.5.dcm' or '1.2.5.png' is not in",
        "line 6: 'ImageId' is missing. It must be text.",
        "line 7: has 3 cells where the header has 2",
        "line 8: The path '../1.2.3.dcm' leads out of",
        "line 9: the mask '' must be pairs of whole numbers",
    ):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_siim(tmp_path / "nowhere.csv")
