"""Scenes are placed, told apart by bands, and read with their empty pixels known."""

from __future__ import annotations

import warnings
import zipfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasters_on_disk import ORIGIN, UTM, fields, write_raster

from vlcore.errors import ConfigurationError
from vlcore.types import ImagePreprocess
from vlcore_remote_sensing.rasters.pixels import SceneReader, Window, scene_stretch, tower_image, whole
from vlcore_remote_sensing.rasters.scene import SceneError, open_scene

RGB = ("red", "green", "blue")
TOWER = ImagePreprocess(size=(32, 32), mean=(0.5, 0.5, 0.5))


def read(scene, window=None, **options):
    with SceneReader.open(scene) as reader:
        return reader.read(window or whole(scene), **options)


def test_bands_are_shown_in_the_order_red_green_blue(tmp_path):
    pixels = np.stack([np.full((20, 30), value, dtype=np.uint8) for value in (10, 20, 30, 40)])
    path = write_raster(tmp_path / "a.tif", pixels, names=["B02", "B03", "B04", "B08"])
    assert [band.common_name for band in open_scene(path).shown] == list(RGB)
    assert read(open_scene(path)).values[:, 0, 0].tolist() == [30, 20, 10]
    assert read(open_scene(path, bands="nir red green")).values[:, 0, 0].tolist() == [40, 30, 20]
    assert read(open_scene(path, bands=["B08"])).values[:, 0, 0].tolist() == [40]


def test_a_file_that_does_not_name_its_bands_needs_to_be_told(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.zeros((4, 20, 30), dtype=np.uint16) + 5)
    with pytest.raises(ConfigurationError, match="no band is known as 'red'"):
        open_scene(path)
    scene = open_scene(path, band_names=["blue", "green", "red", "nir"])
    assert [band.number for band in scene.shown] == [3, 2, 1]
    with pytest.raises(SceneError, match="has 4 bands and band_names"):
        open_scene(path, band_names=["red"])
    with pytest.raises(SceneError, match="give three"):
        open_scene(path, bands="red green")


def test_a_single_band_is_shown_in_grey(tmp_path):
    scene = open_scene(write_raster(tmp_path / "a.tif", np.full((1, 40, 40), 77, dtype=np.uint8)))
    pixels = read(scene)
    assert tower_image(pixels, scene_stretch_of(scene), TOWER)[:, 0, 0].tolist() == [77, 77, 77]


def scene_stretch_of(scene, **options):
    with SceneReader.open(scene) as reader:
        return scene_stretch(reader, **options)


def test_pixel_size_is_measured_on_the_ground(tmp_path):
    pixels = np.zeros((1, 20, 20), dtype=np.uint8)
    assert open_scene(write_raster(tmp_path / "utm.tif", pixels)).pixel_size == pytest.approx((10, 10), rel=1e-3)
    mercator = Affine(10, 0, 1_000_000, 0, -10, 8_399_738)  # 60 degrees north: twice too large
    scene = open_scene(write_raster(tmp_path / "m.tif", pixels, crs=CRS.from_epsg(3857), transform=mercator))
    assert scene.pixel_size == pytest.approx((5, 5), rel=5e-3)
    feet = Affine(10, 0, 2_000_000, 0, -10, 500_000)  # New York Long Island, US survey feet
    scene = open_scene(write_raster(tmp_path / "f.tif", pixels, crs=CRS.from_epsg(2263), transform=feet))
    assert scene.pixel_size == pytest.approx((3.048, 3.048), rel=5e-3)


def test_a_projected_scene_keeps_its_grid(tmp_path):
    scene = open_scene(write_raster(tmp_path / "a.tif", fields(), size=0.3))
    assert (scene.width, scene.height, scene.crs, scene.warp) == (320, 240, UTM, None)
    assert scene.transform == Affine(0.3, 0, ORIGIN[0], 0, -0.3, ORIGIN[1])


@pytest.mark.parametrize(("latitude", "zone"), [(48.0, 32632), (-48.0, 32732)])
def test_a_geographic_scene_is_brought_to_utm(tmp_path, latitude, zone):
    transform = Affine(1e-4, 0, 11.5, 0, -1e-4, latitude)
    scene = open_scene(write_raster(tmp_path / "a.tif", fields(), crs=CRS.from_epsg(4326), transform=transform))
    assert scene.crs.to_epsg() == zone
    assert scene.pixel_size[0] == pytest.approx(scene.pixel_size[1], rel=1e-3)
    pixels = read(scene)
    assert 0.9 < pixels.valid.mean() < 1  # the corners of the turned grid hold nothing
    assert set(np.unique(pixels.values[0][pixels.valid])) >= {0, 255}


def test_a_scene_wider_than_a_zone_stays_in_degrees(tmp_path):
    transform = Affine(0.5, 0, -80, 0, -0.5, 40)
    path = write_raster(tmp_path / "a.tif", fields(), crs=CRS.from_epsg(4326), transform=transform)
    with pytest.warns(UserWarning, match="too much for one UTM zone"):
        scene = open_scene(path)
    assert (scene.crs.to_epsg(), scene.warp) == (4326, None)


def test_a_rotated_scene_is_turned_and_its_corners_are_empty(tmp_path):
    transform = Affine.translation(*ORIGIN) * Affine.rotation(30) * Affine.scale(10, -10)
    path = write_raster(tmp_path / "a.tif", np.full((3, 60, 90), 200, dtype=np.uint8), transform=transform)
    scene = open_scene(path, band_names=RGB)
    assert scene.transform.b == scene.transform.d == 0
    pixels = read(scene)
    # A rectangle of 900 by 600 m turned by 30 degrees fills 50 % of its box.
    box = (900 * 0.866 + 600 * 0.5) * (900 * 0.5 + 600 * 0.866)
    assert pixels.valid.mean() == pytest.approx(900 * 600 / box, abs=0.03)
    assert (pixels.values[:, pixels.valid] == 200).mean() > 0.95


def test_ground_control_points_place_a_scene(tmp_path):
    path = tmp_path / "a.tif"
    points = [
        GroundControlPoint(row, column, 9 + column * 1e-4, 48 - row * 1e-4) for row in (0, 60) for column in (0, 90)
    ]
    with rasterio.open(path, "w", driver="GTiff", width=90, height=60, count=3, dtype="uint8") as file:
        file.write(np.full((3, 60, 90), 200, dtype=np.uint8))
        file.gcps = (points, CRS.from_epsg(4326))
    scene = open_scene(path, band_names=RGB)
    assert scene.crs.to_epsg() == 32632
    west, south, east, north = bounds_of(scene.footprint())
    assert (west, south, east, north) == pytest.approx((9, 47.994, 9.009, 48), abs=3e-4)
    assert read(scene).valid.mean() > 0.9


def bounds_of(geometry):
    rings = (
        geometry["coordinates"] if geometry["type"] == "Polygon" else [r for p in geometry["coordinates"] for r in p]
    )
    xs, ys = zip(*(point for ring in rings for point in ring), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def test_a_scene_without_a_place_is_refused_with_the_mend(tmp_path):
    path = write_raster(tmp_path / "a.tif", fields(), crs=None)
    with pytest.raises(ConfigurationError, match=r"no coordinate reference system.*say crs='EPSG"):
        open_scene(path, band_names=RGB)
    assert open_scene(path, band_names=RGB, crs="EPSG:32632").crs == UTM
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = write_raster(tmp_path / "b.tif", fields(), transform=Affine.identity())
    with pytest.raises(ConfigurationError, match="neither a geotransform nor ground control points"):
        open_scene(bare, band_names=RGB)


def test_a_file_that_is_no_raster_is_told(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(SceneError, match="cannot be opened as a raster"):
        open_scene(tmp_path / "a.tif")
    with pytest.raises(SceneError, match="cannot be opened as a raster"):
        open_scene(tmp_path / "gone.tif")


def test_numbers_of_colours_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 40, 40), dtype=np.uint8), photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (255, 0, 0, 255), 1: (0, 0, 255, 255)})
    with pytest.raises(SceneError, match=r"numbers of colours, not colours.*gdal_translate -expand rgb"):
        open_scene(path)


def test_complex_numbers_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 40, 40), dtype=np.complex64))
    with pytest.raises(SceneError, match="complex numbers"):
        open_scene(path)


def test_a_scene_in_a_zip_is_read(tmp_path):
    write_raster(tmp_path / "a.tif", fields())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "inside/a.tif")
    scene = open_scene(f"zip://{tmp_path}/a.zip!inside/a.tif", band_names=RGB)
    assert scene.name == "a.tif"
    assert np.array_equal(read(scene).values, fields())


def test_the_footprint_is_cut_at_the_date_line(tmp_path):
    transform = Affine(1000, 0, 700_000, 0, -1000, 100_000)  # zone 60, over its eastern edge
    pixels = np.zeros((1, 100, 300), dtype=np.uint8)
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, crs=CRS.from_epsg(32660), transform=transform))
    outline = scene.footprint()
    assert outline["type"] == "MultiPolygon"
    west, _, east, _ = bounds_of(outline)
    assert (west, east) == pytest.approx((-180, 180), abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "name", "date"),
    [
        ({"TIFFTAG_DATETIME": "2021:06:04 10:10:31"}, "a.tif", "2021-06-04"),
        ({}, "S2A_MSIL2A_20210604T101031_N0300_R022.tif", "2021-06-04"),
        ({}, "field_2019-12-31.tif", "2019-12-31"),
        ({}, "scene_12345678901234.tif", None),
    ],
)
def test_the_date_comes_from_tags_or_the_name(tmp_path, tags, name, date):
    path = write_raster(tmp_path / name, np.zeros((1, 16, 16), dtype=np.uint8), tags=tags)
    assert open_scene(path).date == date


# Empty pixels, in the order in which their sources count.


def scene_with(tmp_path, pixels, **profile):
    options = {key: profile.pop(key) for key in ("nodata_said",) if key in profile}
    path = write_raster(tmp_path / "a.tif", pixels, **profile)
    return open_scene(
        path, band_names=RGB[: len(pixels)] if len(pixels) == 3 else None, nodata=options.get("nodata_said")
    )


def test_nodata_of_the_file_counts_where_all_bands_have_it(tmp_path):
    pixels = np.full((3, 20, 20), 9, dtype=np.uint8)
    pixels[:, :5] = 0
    pixels[1:, 10] = 0  # pure red is not empty
    assert read(scene_with(tmp_path, pixels, nodata=0)).valid.mean() == 0.75


def test_nodata_that_the_user_says_goes_before_the_files(tmp_path):
    pixels = np.full((1, 20, 20), 9, dtype=np.int16)
    pixels[:, :5], pixels[:, 5:7] = 0, -1
    scene = scene_with(tmp_path, pixels, nodata=0, nodata_said=-1)
    assert read(scene).valid.mean() == 0.9


def test_nan_is_empty_whatever_the_tag_says(tmp_path):
    pixels = np.full((1, 20, 20), 0.5, dtype=np.float32)
    pixels[:, :5] = np.nan
    assert read(scene_with(tmp_path, pixels, nodata=0)).valid.mean() == 0.75


def test_an_alpha_band_counts(tmp_path):
    pixels = np.full((4, 20, 20), 200, dtype=np.uint8)
    pixels[3, :5] = 0
    path = write_raster(tmp_path / "a.tif", pixels, photometric="RGB", alpha="yes")
    assert read(open_scene(path)).valid.mean() == 0.75


def test_a_mask_counts(tmp_path):
    path = tmp_path / "a.tif"
    options = {"driver": "GTiff", "width": 20, "height": 20, "count": 3, "dtype": "uint8", "crs": UTM}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", transform=Affine(10, 0, *ORIGIN[:1], 0, -10, ORIGIN[1]), photometric="RGB", **options
        ) as file,
    ):
        file.write(np.full((3, 20, 20), 200, dtype=np.uint8))
        mask = np.full((20, 20), 255, dtype=np.uint8)
        mask[:, :10] = 0
        file.write_mask(mask)
    assert read(open_scene(path)).valid.mean() == 0.5


def test_black_is_not_empty(tmp_path):
    assert read(scene_with(tmp_path, np.zeros((3, 20, 20), dtype=np.uint8))).valid.all()


# One stretch per scene.


def test_a_field_looks_the_same_in_every_tile(tmp_path):
    """A stretch of each tile by its own range would show the dull tile as bright as the other."""
    pixels = np.full((3, 64, 128), 1000, dtype=np.uint16)
    pixels[:, :, 64:] = np.linspace(1000, 9000, 64).astype(np.uint16)
    scene = scene_with(tmp_path, pixels)
    stretch = scene_stretch_of(scene)
    with SceneReader.open(scene) as reader:
        alone = tower_image(reader.read(Window(0, 0, 32, 32)), stretch, TOWER)
        beside = tower_image(reader.read(Window(40, 0, 32, 32)), stretch, TOWER)
    assert alone.max() == alone.min() == beside[0, 0, 0]


def test_reflectance_has_one_range_for_all_scenes(tmp_path):
    pixels = np.full((3, 20, 20), 1500, dtype=np.uint16)
    path = write_raster(tmp_path / "a.tif", pixels, names=RGB)
    scene = open_scene(path, radiometry="sentinel-2")
    assert scene_stretch_of(scene).high == (0.3, 0.3, 0.3)
    assert tower_image(read(scene), scene_stretch_of(scene), TOWER)[0, 0, 0] == pytest.approx(0.05 / 0.3 * 255, abs=1)


def test_an_offset_left_on_is_told(tmp_path):
    pixels = np.stack([np.full((20, 20), value, dtype=np.uint16) for value in (1300, 1400, 1200, 5000)])
    path = write_raster(tmp_path / "a.tif", pixels, names=["B02", "B03", "B04", "B08"])
    with pytest.warns(UserWarning, match=r"a.tif: The blue reflectance of vegetation is 0.13"):
        scene_stretch_of(open_scene(path, radiometry="sentinel-2-harmonised"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        scene_stretch_of(open_scene(path, radiometry="sentinel-2"))


def test_an_empty_scene_is_refused(tmp_path):
    scene = scene_with(tmp_path, np.full((1, 20, 20), np.nan, dtype=np.float32))
    with pytest.raises(SceneError, match="empty from edge to edge"):
        scene_stretch_of(scene)


# What the tower sees.


def test_empty_pixels_do_not_bleed_into_full_ones(tmp_path):
    pixels = np.full((1, 64, 64), 200.0, dtype=np.float32)
    pixels[:, :, 32:] = -9999
    scene = scene_with(tmp_path, pixels, nodata=-9999)
    image = tower_image(read(scene), stretch_to(0, 255), TOWER)
    assert set(np.unique(image[:, :, :16])) == {200}
    assert set(np.unique(image[:, :, 16:])) == {128}  # the tower's mean colour


def stretch_to(low, high):
    from vlcore_remote_sensing.rasters.stretch import Stretch

    return Stretch((float(low),), (float(high),))


def test_large_windows_are_thinned_by_averages(tmp_path):
    pixels = np.zeros((1, 256, 256), dtype=np.uint8)
    pixels[:, ::2] = 200
    scene = scene_with(tmp_path, pixels)
    found = read(scene, largest=64)
    assert found.values.shape == (1, 64, 64)
    assert np.unique(found.values).tolist() == [100]


def test_every_real_file_is_placed_where_gdal_places_it_or_refused(data_root):
    folder = data_root / "remote_sensing" / "geotiff"
    names = {"data__1985.tif": ["red", "green", "blue", "nir"], "data__2020.tif": ["red", "green", "blue", "nir"]}
    names["terratorch__segmentation_test_0_input.tif"] = ["blue", "green", "red", *(f"x{n}" for n in range(7))]
    kept = 0
    for path in sorted(folder.glob("*.tif")):
        if path.name == "rasterio__rotated.tif":
            with pytest.raises(ConfigurationError, match="no coordinate reference system"):
                open_scene(path)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # scenes of half the globe
            scene = open_scene(path, band_names=names.get(path.name))
        with rasterio.open(path) as file:
            if scene.warp is None:
                assert np.allclose(scene.transform, file.transform, rtol=0, atol=1e-9)
                assert (scene.crs, scene.width, scene.height) == (file.crs, file.width, file.height)
                kept += 1
            west, south, east, north = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        if "dateline" not in path.name:
            found = bounds_of(scene.footprint())
            slack = 2 * max(scene.pixel_size) / 111_000 + 1e-6
            assert found == pytest.approx((west, south, east, north), abs=slack), path.name
    assert kept == 19
