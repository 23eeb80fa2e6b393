"""What maps of other tools get wrong (geoai's `CLIPSegmentation`, August 2026), shown absent, one test each."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from colour_model import colour_model
from rasters_on_disk import fields, write_raster

from vlcore_remote_sensing.heat_map.make import heat_map
from vlcore_remote_sensing.rasters.pixels import SceneReader
from vlcore_remote_sensing.rasters.scene import SceneError, open_scene

RGB = ["red", "green", "blue"]


def test_a_tile_is_not_stretched_by_its_own_range(tmp_path):
    """Two dull red fields, one beside bright ground: they score alike, where tiles do not reach over the edge."""
    pixels = np.full((3, 192, 384), 3000, dtype=np.uint16)
    pixels[0] = 5000
    pixels[:, :, 288:] = np.array([9000, 9000, 9000], dtype=np.uint16)[:, None, None]
    pixels[:, 96:, :96] = 200
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels), band_names=RGB)
    heat = heat_map(colour_model(), scene, "red", tile=320, scales=(1,))
    field = heat.similarity[0][:8, 16:56]  # 4-pixel cells of the red field, away from both edges
    assert field.max() - field.min() < 1e-5


def test_the_first_three_bands_are_not_taken_for_red_green_blue(tmp_path):
    pixels = np.concatenate([np.full((1, 240, 320), 7, dtype=np.uint8), fields()[::-1]])
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, names=["B01", "B02", "B03", "B04"]))
    right = open_scene(write_raster(tmp_path / "b.tif", fields()), band_names=RGB)
    maps = [heat_map(colour_model(), one, "red", tile=320).similarity for one in (scene, right)]
    assert np.array_equal(*maps)


def test_nodata_is_what_the_file_says_and_not_a_tile_of_zeros(tmp_path):
    pixels = fields().astype(np.int16)
    pixels[:, :80, :160] = -1  # empty
    pixels[:, 160:, 160:] = 0  # black ground
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=-1), band_names=RGB)
    heat = heat_map(colour_model(), scene, "black", tile=320)
    heat.save(tmp_path / "heat.tif")
    with rasterio.open(tmp_path / "heat.tif") as file:
        assert np.isnan(file.nodata)
        found = file.read(1)
    assert np.isnan(found[:20, :40]).all()
    assert np.isfinite(found[40:, 40:]).all()
    assert found[50:, 60:].min() > found[20:40, :30].max()


def test_no_array_has_the_size_of_the_scene(tmp_path, monkeypatch):
    scene = open_scene(write_raster(tmp_path / "a.tif", fields(2000, 2400)), band_names=RGB)
    read, largest = SceneReader.read, []

    def measured(self, window, *arguments, **options):
        pixels = read(self, window, *arguments, **options)
        largest.append(pixels.values.shape[1] * pixels.values.shape[2])
        return pixels

    monkeypatch.setattr(SceneReader, "read", measured)
    heat = heat_map(colour_model(), scene, "red", tile=1000)
    assert max(largest) < 0.05 * 2000 * 2400
    assert heat.similarity.size < 0.05 * 2000 * 2400


def test_errors_are_not_swallowed(data_root, tmp_path):
    scene = open_scene(data_root / "remote_sensing" / "geotiff" / "rasterio__corrupt.tif")
    with pytest.raises(SceneError, match="cannot be read"):
        heat_map(colour_model(), scene, "red").save(tmp_path / "heat.tif")
    assert not (tmp_path / "heat.tif").exists()
