"""Maps are where the scene is, say what it shows, and come out the same however they are made."""

from __future__ import annotations

import json
import subprocess
import sys

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from colour_model import colour_model
from rasterio.crs import CRS
from rasters_on_disk import ORIGIN, UTM, fields, write_raster

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.heat_map import window_vectors
from vlcore_remote_sensing.heat_map.make import heat_map
from vlcore_remote_sensing.heat_map.polygons import write_polygons
from vlcore_remote_sensing.rasters.scene import SceneError, open_scene
from vlcore_remote_sensing.scene_model import SceneModel

RGB = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def model():
    return colour_model()


def chequer(tmp_path, **profile):
    return open_scene(write_raster(tmp_path / "chequer.tif", fields(), **profile), band_names=RGB)


def truth(heat, colour):
    """Which cells of the map lie in fields of a colour, and not at their edges."""
    band = fields()[RGB.index(colour)] > 0
    rows, columns = heat.valid.shape
    size = 320 // columns
    cells = band[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return cells.all((1, 3)), ~cells.any((1, 3))


@pytest.mark.parametrize("dense", [False, True])
def test_the_map_shows_where_the_colour_is(model, tmp_path, dense):
    heat = heat_map(model, chequer(tmp_path), ["red", "blue"], tile=320, scales=(1, 2), dense=dense)
    for values, colour in zip(heat.similarity, ("red", "blue"), strict=True):
        inside, outside = truth(heat, colour)
        assert values[inside].mean() > values[outside].mean() + 0.5
        best = np.unravel_index(values.argmax(), values.shape)
        assert inside[best]


def test_dense_maps_are_finer(model, tmp_path):
    """At edges of fields, a map of whole windows is off by half a window, one of feature map cells by less."""
    gap = {}
    for dense in (False, True):
        heat = heat_map(model, chequer(tmp_path), "red", tile=1280, scales=(1,), dense=dense)
        inside, outside = truth(heat, "red")
        gap[dense] = np.median(heat.similarity[0][inside]) - np.median(heat.similarity[0][outside])
    assert gap[True] > gap[False] + 0.2


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 1), (64, 2)])
def test_values_depend_neither_on_batch_size_nor_on_workers(model, tmp_path, batch_size, workers):
    scene = chequer(tmp_path)
    expected = heat_map(model, scene, ["red", "white"], tile=320, cache=None)
    found = heat_map(model, scene, ["red", "white"], tile=320, batch_size=batch_size, workers=workers, cache=None)
    assert np.abs(found.similarity - expected.similarity).max() <= 1e-6


def test_the_order_of_bands_in_the_file_does_not_matter(model, tmp_path):
    """Taking the first three bands as red, green and blue would make blue of red."""
    plain = heat_map(model, chequer(tmp_path), "red", tile=320)
    turned = write_raster(tmp_path / "bgr.tif", fields()[::-1], names=["B02", "B03", "B04"])
    assert np.array_equal(heat_map(model, open_scene(turned), "red", tile=320).similarity, plain.similarity)


def test_the_grid_is_the_scenes_own(model, tmp_path):
    heat = heat_map(model, chequer(tmp_path, size=0.3), "red", tile=24)
    cell = heat.transform.a / 0.3
    assert cell == pytest.approx(round(cell), abs=1e-9)
    assert heat.transform == Affine(cell * 0.3, 0, ORIGIN[0], 0, -cell * 0.3, ORIGIN[1])
    assert heat.crs == UTM


def test_a_second_query_encodes_nothing(model, tmp_path, monkeypatch):
    scene = chequer(tmp_path)
    first = heat_map(model, scene, "red", tile=320)
    monkeypatch.setattr(window_vectors, "window_embedder", lambda *_: pytest.fail("the tower ran again"))
    again = heat_map(model, scene, ["blue", "red"], tile=320)
    assert np.abs(again.similarity[1] - first.similarity[0]).max() < 1e-6


@pytest.mark.parametrize("change", ["pixels", "model", "tile", "bands"])
def test_what_changes_the_vectors_is_encoded_again(model, tmp_path, change):
    scene = chequer(tmp_path)
    heat_map(model, scene, "red", tile=320)
    other, tile = model, 320
    if change == "pixels":
        write_raster(tmp_path / "chequer.tif", fields()[::-1])
    elif change == "bands":
        scene = open_scene(scene.path, bands=["blue", "green", "red"], band_names=RGB)
    elif change == "model":
        other = colour_model()
        other.fingerprint = "another"
    else:
        tile = 640
    heat_map(other, scene, "red", tile=tile)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2


# Empty and damaged places.


def test_empty_places_have_no_value_and_say_so(model, tmp_path):
    pixels = fields()
    pixels[:, :, 200:] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0), band_names=RGB)
    heat = heat_map(model, scene, "red", tile=320)
    edge = 200 // 4  # cells of 4 pixels
    assert (heat.valid[:, :edge] == 1).all()
    assert (heat.valid[:, edge:] == 0).all()
    assert np.isfinite(heat.similarity[0][:, :edge]).all()
    assert np.isnan(heat.similarity[0][:, edge:]).all()
    assert np.isnan(heat.percentile[0][:, edge:]).all()


def test_half_empty_cells_tell_their_share(model, tmp_path):
    pixels = fields()
    pixels[:, :, 202:] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0), band_names=RGB)
    assert heat_map(model, scene, "red", tile=320).valid[0, 50] == 0.5


def test_an_empty_scene_is_refused(model, tmp_path):
    for name, pixels, nodata in (
        ("a", np.zeros((3, 60, 60), np.uint8), 0),
        ("b", np.full((3, 60, 60), np.nan, np.float32), None),
    ):
        scene = open_scene(write_raster(tmp_path / f"{name}.tif", pixels, nodata=nodata), band_names=RGB)
        with pytest.raises(SceneError, match="empty from edge to edge"):
            heat_map(model, scene, "red")


def test_blocks_that_cannot_be_read_stop_or_are_left_empty_and_counted(model, data_root):
    scene = open_scene(data_root / "remote_sensing" / "geotiff" / "rasterio__corrupt.tif")
    with pytest.raises(
        SceneError, match=r"the pixels of columns 0 to 1024, rows \d+ to \d+ cannot be read.*on_bad_block"
    ):
        heat_map(model, scene, "red")
    heat = heat_map(model, scene, "red", on_bad_block="skip")
    windows = json.loads(heat.tags["VLCORE_WINDOWS"])
    assert 0 < windows["unreadable"] < windows["all"]
    assert 0 < heat.valid.mean() < 1
    assert np.isnan(heat.similarity[0][heat.valid == 0]).all()
    assert np.isfinite(heat.similarity[0]).any()


# Words.


def test_prompts_are_checked_before_anything_is_encoded(model, tmp_path, monkeypatch):
    monkeypatch.setattr(window_vectors, "window_embedder", lambda *_: pytest.fail("the tower ran"))
    scene = chequer(tmp_path)
    for prompts, message in (
        ([], "at least one prompt"),
        (["red", " "], "none empty"),
        (["red", "red"], "none twice"),
        ("парк", "does not know 1 of the 1 pieces of 'парк'.*multilingual"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            heat_map(model, scene, prompts)
    with pytest.raises(ConfigurationError, match="least_valid"):
        heat_map(model, scene, "red", least_valid=0)
    with pytest.raises(ConfigurationError, match="on_bad_block"):
        heat_map(model, scene, "red", on_bad_block="ignore")


# Files.


@pytest.fixture
def saved(model, tmp_path):
    scene = chequer(tmp_path, tags={"TIFFTAG_DATETIME": "2021:06:04 10:10:31", "TIFFTAG_COPYRIGHT": "CC BY 4.0"})
    heat = SceneModel(model).heatmap(scene, ["red", "blue"], tmp_path / "out" / "heat.tif", tile=80 * 2)
    return heat, tmp_path / "out" / "heat.tif"


def test_the_geotiff_says_what_it_is(saved):
    heat, path = saved
    with rasterio.open(path) as file:
        assert file.descriptions == ("red", "blue", "percentile: red", "percentile: blue", "valid fraction")
        assert set(file.dtypes) == {"float32"}
        assert np.isnan(file.nodata)
        assert (file.crs, file.transform) == (heat.crs, heat.transform)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1)
        assert np.array_equal(file.read([1, 2]), heat.similarity)
        tags = file.tags()
        assert float(file.tags(1)["STATISTICS_MAXIMUM"]) == pytest.approx(heat.similarity[0].max(), rel=1e-6)
    assert json.loads(tags["VLCORE_PROMPTS"]) == ["red", "blue"]
    assert tags["VLCORE_FINGERPRINT"] == "colours"
    assert tags["VLCORE_SCENE_DATE"] == "2021-06-04"
    assert tags["VLCORE_SCENE_LICENCE"] == "CC BY 4.0"
    assert float(tags["VLCORE_TILE_METRES"]) == pytest.approx(160, rel=1e-3)
    assert json.loads(tags["VLCORE_MODEL_LICENCES"]) == {"test/colours": "MIT", "test/words": "MIT"}


def test_percentiles_are_ranks_within_the_scene(saved):
    heat, _ = saved
    values, ranks = heat.similarity[0].ravel(), heat.percentile[0].ravel()
    for number in range(0, len(values), 97):
        assert ranks[number] == pytest.approx(100 * (values <= values[number]).mean(), abs=1e-4)


def test_the_style_is_one_that_qgis_reads(saved):
    from xml.etree import ElementTree

    heat, path = saved
    text = path.with_suffix(".qml").read_text()
    renderer = ElementTree.fromstring(text[text.index("<qgis") :]).find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "singlebandpseudocolor"
    items = renderer.findall("rastershader/colorrampshader/item")
    places = [float(item.get("value", "nan")) for item in items]
    assert places == sorted(places)
    assert places[0] >= heat.similarity[0].min() - 1e-4
    assert places[-1] <= heat.similarity[0].max() + 1e-4


def test_a_disk_that_is_full_leaves_nothing_half_written(saved, tmp_path):
    """Files may grow to 20 kB here, less than the map needs: what was there stays."""
    heat, path = saved
    before = path.read_bytes()
    assert len(before) > 20_000
    program = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from colour_model import colour_model
from vlcore_remote_sensing.rasters.scene import open_scene
from vlcore_remote_sensing.heat_map.make import heat_map
scene = open_scene({heat.scene.path!r}, band_names={RGB!r})
heat = heat_map(colour_model(), scene, ["red", "blue"], tile=160, cache=None)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    heat.save({str(path)!r})
except OSError as error:
    print("told:", error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert "told:" in done.stdout, done.stderr[-2000:]
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["heat.qml", "heat.tif"]


def test_polygons_outline_the_fields(model, tmp_path):
    heat = heat_map(model, chequer(tmp_path), ["red", "green"], tile=160, scales=(1,))
    table = heat.to_polygons(similarity=0.9)
    assert table.crs == UTM
    red = table[table.prompt == "red"]
    band = fields()[0] > 0
    for outline in red.geometry:
        column, row = ~heat.scene.transform * (outline.centroid.x, outline.centroid.y)
        assert band[int(row), int(column)]
    assert red.area_m2.sum() == pytest.approx(red.geometry.area.sum(), rel=2e-3)  # UTM's scale is 0.9996
    assert 0.3 < red.area_m2.sum() / (band.sum() * 100) < 1
    values = heat.similarity[0]
    assert red.similarity_max.max() == values.max()
    assert table.similarity_max.is_monotonic_decreasing


def test_the_percentile_outlines_its_share_of_the_scene(model, tmp_path):
    heat = heat_map(model, chequer(tmp_path), "red", tile=160)
    area = heat.to_polygons(percentile=80).geometry.area.sum()
    assert area / (heat.valid.size * heat.transform.a**2) == pytest.approx(0.2, abs=0.03)
    with pytest.raises(ConfigurationError, match="percentile=120"):
        heat.to_polygons(percentile=120)


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".parquet"])
def test_polygons_open_in_other_programs(model, tmp_path, ending):
    heat = heat_map(model, chequer(tmp_path), "red", tile=160)
    table = heat.to_polygons(percentile=90)
    path = write_polygons(table, tmp_path / f"hits{ending}")
    found = geopandas.read_parquet(path) if ending == ".parquet" else geopandas.read_file(path)
    assert len(found) == len(table)
    assert found.crs == (CRS.from_epsg(4326) if ending == ".geojson" else UTM)
    if ending == ".geojson":
        west, south, east, north = found.total_bounds
        assert 8.9 < west < east < 9.1
        assert 49 < south < north < 50
    elif ending == ".gpkg":
        assert pyogrio.list_layers(path)[0][0] == "hits"
    else:
        import pyarrow.parquet

        assert "bbox" in pyarrow.parquet.read_schema(path).names
        box = geopandas.read_parquet(path, bbox=tuple(table.geometry.iloc[0].bounds))
        assert 1 <= len(box) <= len(table)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_no_hits_are_an_empty_file_and_another_ending_is_refused(model, tmp_path):
    heat = heat_map(model, chequer(tmp_path), "red", tile=160)
    table = heat.to_polygons(similarity=2)
    assert len(geopandas.read_file(write_polygons(table, tmp_path / "none.gpkg"))) == 0
    with pytest.raises(ConfigurationError, match=r"written to .gpkg, .geojson, .parquet"):
        write_polygons(table, tmp_path / "hits.shp")


def test_the_preview_is_a_picture(saved, tmp_path):
    from PIL import Image

    heat, _ = saved
    with Image.open(heat.preview(tmp_path / "heat.png", "blue")) as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(maxcolors=2**24) or []) > 50
    with pytest.raises(ConfigurationError, match="has no prompt 'green'"):
        heat.preview(tmp_path / "heat.png", "green")


def test_a_notebook_shows_the_picture(saved):
    heat, _ = saved
    assert heat._repr_png_().startswith(b"\x89PNG")


def test_the_notebook_map_lies_where_the_scene_is(saved):
    heat, _ = saved
    (south, west), (north, east) = heat.show().get_bounds()
    box = geopandas.GeoSeries.from_wkt(["POINT(500000 5500000)"], crs=UTM).to_crs(4326).iloc[0]
    assert west == pytest.approx(box.x, abs=2e-3)
    assert north == pytest.approx(box.y, abs=2e-3)
    assert south < north and west < east
