"""Scenes of a static STAC catalogue on disk."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pystac
import pytest
import rasterio
from colour_model import colour_model
from rasters_on_disk import write_raster

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.rasters.band_stack import BandFile, stack_text
from vlcore_remote_sensing.rasters.pixels import SceneReader, whole
from vlcore_remote_sensing.rasters.scene import SceneError, open_scene
from vlcore_remote_sensing.scene_index.build import index_scenes
from vlcore_remote_sensing.scene_index.search import SceneIndex
from vlcore_remote_sensing.scene_index.stac import is_stac, stac_items

EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
]
BANDS = {"B04": "red", "B03": "green", "B02": "blue", "B08": "nir"}


def item(folder, name, reflectance, day="2024-06-04", baseline="05.09", coarse="B02", **properties):
    """A Sentinel-2 item: bands in files of their own, one of half the resolution, with an offset to take off."""
    (folder / name).mkdir(parents=True)
    box = (9.0, 49.6, 9.1, 49.7)
    outline = {
        "type": "Polygon",
        "coordinates": [[[box[i], box[j]] for i, j in ((0, 1), (2, 1), (2, 3), (0, 3), (0, 1))]],
    }
    made = pystac.Item(
        name,
        outline,
        list(box),
        datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC),
        {"proj:code": "EPSG:32632", "s2:processing_baseline": baseline, **properties},
        stac_extensions=EXTENSIONS,
    )
    for band, colour in BANDS.items():
        side, size = (48, 20.0) if band == coarse else (96, 10.0)
        stored = round(reflectance.get(colour, 0.4) * 10_000) + 1_000
        path = write_raster(
            folder / name / f"{band}.tif", np.full((1, side, side), stored, dtype=np.uint16), size=size, nodata=0
        )
        with rasterio.open(path) as file:
            place = {"proj:shape": [side, side], "proj:transform": list(file.transform)[:6]}
        fields = {"eo:bands": [{"name": band, "common_name": colour}], "raster:bands": [{"nodata": 0}], **place}
        made.add_asset(
            band, pystac.Asset(str(path), media_type=pystac.MediaType.COG, roles=["data"], extra_fields=fields)
        )
    return made


@pytest.fixture
def catalogue(tmp_path):
    top = pystac.Catalog("all", "Scenes of a test")
    part = pystac.Catalog("2024", "One year")
    top.add_child(part)
    part.add_item(item(tmp_path / "data", "red-field", {"red": 0.3, "green": 0.02, "blue": 0.02}))
    part.add_item(item(tmp_path / "data", "blue-lake", {"red": 0.02, "green": 0.02, "blue": 0.3}, day="2024-08-01"))
    top.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "stac" / "catalog.json"


def test_items_are_found_by_day_and_place(catalogue):
    def found(**conditions):
        return {one.id for one in stac_items(str(catalogue), **conditions)}

    assert found() == {"red-field", "blue-lake"}
    assert found(dates=("2024-07-01", None)) == {"blue-lake"}
    assert found(dates=(None, "2024-06-04")) == {"red-field"}
    assert found(bbox=(9.05, 49, 10, 50)) == {"red-field", "blue-lake"}
    assert found(bbox=(10, 49, 11, 50)) == set()
    assert found(collections=["other"]) == set()


def test_a_catalogue_becomes_an_index(catalogue, tmp_path):
    model = colour_model()
    _, report = index_scenes(model, catalogue, tmp_path / "index")
    assert report.new == 2
    hits = SceneIndex(tmp_path / "index", model).search("blue", k=1)
    assert hits.scene[0] == "blue-lake"
    assert hits.date[0] == "2024-08-01"
    assert hits.score[0] > 0.99
    _, again = index_scenes(model, catalogue, tmp_path / "index")
    assert (again.new, again.unchanged) == (0, 2)


def test_the_offset_of_the_processing_baseline_is_taken_off(catalogue, tmp_path):
    index_scenes(colour_model(), catalogue, tmp_path / "index")
    scene = open_scene(tmp_path / "index" / "stac" / "red-field.vrt")
    assert (scene.width, scene.date, scene.radiometry.name) == (96, "2024-06-04", "sentinel-2")
    with SceneReader.open(scene) as reader:
        pixels = reader.read(whole(scene))
    assert pixels.valid.all()
    assert pixels.values.mean((1, 2)) == pytest.approx([0.3, 0.02, 0.02], abs=1e-4)


@pytest.mark.parametrize(
    ("properties", "scale", "value"),
    [
        ({"earthsearch:boa_offset_applied": True}, None, 0.4),  # taken at its word: nothing more is taken off
        ({}, {"scale": 0.0001, "offset": -0.1}, 0.3),
    ],
)
def test_scales_that_the_item_states_count(tmp_path, properties, scale, value):
    from vlcore_remote_sensing.scene_index.stac import item_stack

    made = item(tmp_path, "a", {"red": 0.3, "green": 0.3, "blue": 0.3}, **properties)
    for asset in made.assets.values():
        asset.extra_fields["raster:bands"][0] |= scale or {}
    (tmp_path / "a.vrt").write_text(item_stack(made))
    scene = open_scene(tmp_path / "a.vrt")
    with SceneReader.open(scene) as reader:
        assert reader.read(whole(scene)).values.mean() == pytest.approx(value, abs=1e-4)


def test_an_asset_that_is_gone_is_told_and_can_be_left_out(catalogue, tmp_path):
    (tmp_path / "data" / "red-field" / "B03.tif").unlink()
    with pytest.raises(ManifestError, match=r"red-field: .*B03.tif cannot be opened.*leave its scene out"):
        index_scenes(colour_model(), catalogue, tmp_path / "index")
    _, report = index_scenes(colour_model(), catalogue, tmp_path / "index", on_bad_scene="skip")
    assert (report.new, [problem.place for problem in report.refused]) == (1, ["red-field"])


def test_an_asset_that_goes_later_is_told_when_it_is_read(catalogue, tmp_path):
    index_scenes(colour_model(), catalogue, tmp_path / "index")
    (tmp_path / "data" / "red-field" / "B03.tif").unlink()
    scene = open_scene(tmp_path / "index" / "stac" / "red-field.vrt")
    with SceneReader.open(scene) as reader, pytest.raises(SceneError, match=r"cannot be read: .*B03.tif"):
        reader.read(whole(scene))


def test_an_item_without_colours_is_told(tmp_path):
    made = item(tmp_path / "data", "radar", {})
    for asset in made.assets.values():
        asset.extra_fields.pop("eo:bands")
    catalogue = pystac.Catalog("all", "One scene")
    catalogue.add_item(made)
    catalogue.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    with pytest.raises(ManifestError, match="no band known as red, green, blue; its bands are"):
        index_scenes(colour_model(), tmp_path / "stac" / "catalog.json", tmp_path / "index")


def test_bands_must_cover_the_same_ground(tmp_path):
    pixels = np.ones((1, 20, 20), dtype=np.uint8)
    here = write_raster(tmp_path / "a.tif", pixels)
    far = write_raster(tmp_path / "b.tif", pixels, size=30.0)
    files = [BandFile(str(path), 1, name) for path, name in ((here, "red"), (far, "green"))]
    with pytest.raises(SceneError, match=r"b.tif.* must cover the same ground|a.tif.* must cover the same ground"):
        stack_text(files, {})


def test_what_is_no_catalogue_is_told(tmp_path):
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"images": []}))
    with pytest.raises(ConfigurationError, match="is no STAC catalogue"):
        list(stac_items(str(path)))
    assert is_stac("https://stac.example.org/v1")
    assert not is_stac("https://example.org/scene.tif")
    assert not is_stac("scenes")
