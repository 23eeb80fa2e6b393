from __future__ import annotations

import pytest
import rasterio
from reader_trees import eurosat_ms, write_raster

from vlcore.errors import ManifestError
from vlcore_remote_sensing.readers.eurosat_ms import ARCHIVE_FOLDER, read_eurosat_ms


def test_the_order_of_the_bands_is_that_of_the_file(tmp_path):
    first, second, third = read_eurosat_ms(eurosat_ms(tmp_path))
    assert (first.id, first.labels) == ("Forest/Forest_1.tif", {"label": "forest"})
    bands = first.meta["bands"]
    assert (bands[-1], bands[7:9], bands.index("B10")) == ("B8A", ["B08", "B09"], 9)
    with rasterio.open(third.image.path) as raster:
        assert raster.count == len(bands) == 13
    assert second.split is None
    assert read_eurosat_ms(tmp_path / ARCHIVE_FOLDER)[0].id == first.id


def test_the_lists_of_the_rgb_images_say_the_split(tmp_path):
    root = eurosat_ms(tmp_path)
    (root / "eurosat-train.txt").write_text("Forest_1.jpg\n")
    (root / "eurosat-test.txt").write_text("Forest_2.jpg\nRiver_1.jpg\n")
    assert [record.split for record in read_eurosat_ms(root)] == ["train", "test", "test"]


def test_copies_with_other_bands_and_broken_files_are_refused(tmp_path):
    root = eurosat_ms(tmp_path)
    write_raster(root / ARCHIVE_FOLDER / "Forest/Forest_1.tif", 3)
    (root / ARCHIVE_FOLDER / "River/River_1.tif").write_bytes(b"II*\0 broken")
    with pytest.raises(ManifestError) as caught:
        read_eurosat_ms(root)
    message = str(caught.value)
    assert "file Forest/Forest_1.tif: has 3 bands, and EuroSAT MS has 13. Give the multi-spectral archive." in message
    assert "file River/River_1.tif: cannot be opened" in message
