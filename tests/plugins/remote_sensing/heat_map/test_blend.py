"""Windows cover a scene to its edges, and their scores are averaged as SeLo does."""

from __future__ import annotations

import numpy as np
import pytest
from rasters_on_disk import fields, write_raster

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.heat_map.blend import blend
from vlcore_remote_sensing.heat_map.dense import parts_of
from vlcore_remote_sensing.heat_map.layout import Layout, lay_out
from vlcore_remote_sensing.rasters.pixels import Window
from vlcore_remote_sensing.rasters.scene import open_scene


def scene_of(tmp_path, height, width, size=10.0):
    path = write_raster(tmp_path / f"{height}x{width}.tif", fields(height, width), size=size)
    return open_scene(path, band_names=["red", "green", "blue"])


def selo_windows(height, width, steps):
    """The windows of SeLo, written down from its description: cut at the edge, once on the grid, once moved."""
    windows = set()
    for step in steps:
        for start in (0, step // 2):
            for top in range(start, height, step):
                for left in range(start, width, step):
                    windows.add((min(left, width - step), min(top, height - step), step, step))
    return windows


def test_the_windows_are_those_of_selo(tmp_path):
    scene = scene_of(tmp_path, 300, 500)
    layout = lay_out(scene, 64, tile=64 * scene.pixel_size[0])
    assert {tuple(window) for window in layout.windows} == selo_windows(300, 500, (64, 128, 192))
    assert len(set(layout.windows)) == len(layout.windows)


def test_without_taper_the_map_is_selos_average_of_pixels(tmp_path):
    scene = scene_of(tmp_path, 300, 500)
    layout = lay_out(scene, 64, tile=64 * scene.pixel_size[0])
    scores = np.random.default_rng(0).normal(size=(len(layout.windows), 2)).astype(np.float32)
    total, count = np.zeros((2, 304, 504)), np.zeros((304, 504))
    for window, row in zip(layout.windows, scores, strict=True):
        place = slice(window.row, window.row + window.height), slice(window.column, window.column + window.width)
        total[(slice(None), *place)] += row[:, None, None]
        count[place] += 1
    # Cells are 8 pixels; the average of pixels is taken over those that a cell has, weighted by how often they count.
    sums = total.reshape(2, 38, 8, 63, 8).sum((2, 4))
    counts = count.reshape(38, 8, 63, 8).sum((1, 3))
    assert np.allclose(blend(layout, layout.windows, scores, taper=False), sums / counts, atol=1e-6)


@pytest.mark.parametrize("taper", [True, False])
@pytest.mark.parametrize("shape", [(300, 500), (97, 131), (40, 30)])
def test_every_cell_has_a_value_and_a_constant_stays_constant(tmp_path, shape, taper):
    layout = lay_out(scene_of(tmp_path, *shape), 32)
    scores = np.full((len(layout.windows), 1), 0.25, dtype=np.float32)
    found = blend(layout, layout.windows, scores, taper=taper)
    assert found.shape == (1, layout.rows, layout.columns)
    assert np.abs(found - 0.25).max() < 1e-6


def test_order_does_not_matter_and_windows_without_a_score_do_not_count(tmp_path):
    layout = lay_out(scene_of(tmp_path, 300, 500), 64)
    scores = np.random.default_rng(0).normal(size=(len(layout.windows), 1)).astype(np.float32)
    order = np.random.default_rng(1).permutation(len(scores))
    shuffled = blend(layout, [layout.windows[number] for number in order], scores[order])
    assert np.abs(shuffled - blend(layout, layout.windows, scores)).max() < 1e-6
    half = scores.copy()
    half[::2] = np.nan
    kept = blend(layout, layout.windows[1::2], scores[1::2])
    assert np.array_equal(blend(layout, layout.windows, half), kept, equal_nan=True)


def test_where_no_window_counts_there_is_no_value():
    layout = Layout((Window(0, 0, 16, 16),), (8, 8), 4, 2, 16.0, (1.0,))
    found = blend(layout, layout.windows, np.ones((1, 1), dtype=np.float32))
    assert np.isnan(found[0, :, 2:]).all()
    assert np.allclose(found[0, :, :2], 1)


def test_tiles_have_the_ground_size_that_was_asked_for(tmp_path):
    scene = scene_of(tmp_path, 1000, 1200, size=0.5)
    layout = lay_out(scene, 224, tile=80)
    assert layout.tile == pytest.approx(80, rel=1e-3)
    assert layout.windows[0].width == 160
    assert layout.transform(scene).a == pytest.approx(10)
    assert (layout.transform(scene).c, layout.transform(scene).f) == (scene.transform.c, scene.transform.f)


def test_a_scene_smaller_than_a_tile_is_one_window(tmp_path):
    layout = lay_out(scene_of(tmp_path, 40, 30), 224, tile=5000)
    assert layout.windows == (Window(0, 0, 30, 40),)


def test_impossible_tiles_are_told(tmp_path):
    scene = scene_of(tmp_path, 300, 500)
    with pytest.raises(ConfigurationError, match=r"tile=50 m is 5.0 pixels .* Choose 160 m or more"):
        lay_out(scene, 64, tile=50)
    with pytest.raises(ConfigurationError, match="give sides in tiles"):
        lay_out(scene, 64, scales=(0.5,))


def test_parts_of_a_window_cover_it():
    parts = parts_of(Window(10, 20, 100, 70), 49)
    cover = np.zeros((90, 110), dtype=int)
    for part in parts:
        cover[part.row : part.row + part.height, part.column : part.column + part.width] += 1
    assert len(parts) == 49
    assert (cover[20:, 10:] == 1).all()
    assert cover.sum() == 7000
    assert parts[1].row == parts[0].row  # row by row, as feature maps are flattened
