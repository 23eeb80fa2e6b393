"""Tiles of scenes are found by words, example, place and date; what has not changed is not read again."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from affine import Affine
from colour_model import colour_model
from PIL import Image
from rasterio.crs import CRS
from rasters_on_disk import fields, write_raster

from vlcore.cli.main import main
from vlcore.errors import ConfigurationError, FingerprintMismatchError, ManifestError
from vlcore.retrieval.index import Index
from vlcore_remote_sensing.cli import index as index_command
from vlcore_remote_sensing.heat_map import window_vectors
from vlcore_remote_sensing.rasters.scene import SceneError
from vlcore_remote_sensing.scene_index.build import index_scenes
from vlcore_remote_sensing.scene_index.search import SceneIndex

RGB = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def model():
    return colour_model()


def plain(colour, height=96, width=96):
    value = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}[colour]
    return np.broadcast_to(np.array(value, dtype=np.uint8)[:, None, None], (3, height, width))


@pytest.fixture
def folder(tmp_path):
    """Three scenes of one colour each: in Germany, in Brazil, and over the date line."""
    scenes = tmp_path / "scenes"
    (scenes / "below").mkdir(parents=True)
    write_raster(scenes / "germany_2021-06-04.tif", plain("red"), names=RGB)
    south = {"crs": CRS.from_epsg(32723), "transform": Affine(10, 0, 300_000, 0, -10, 8_200_000)}
    write_raster(scenes / "below" / "brazil_2023-01-02.tif", plain("green"), names=RGB, **south)
    line = {"crs": CRS.from_epsg(32660), "transform": Affine(1000, 0, 700_000, 0, -1000, 100_000)}
    write_raster(scenes / "line.tif", plain("blue", 64, 256), names=RGB, **line)
    return scenes


def test_words_find_the_right_scene(model, folder, tmp_path):
    index, report = index_scenes(model, folder, tmp_path / "index", tile=None)
    assert (report.new, report.tiles) == (3, len(index))
    scenes = SceneIndex(tmp_path / "index", model)
    for colour, name in (("red", "germany_2021-06-04.tif"), ("green", "below/brazil_2023-01-02.tif")):
        hits = scenes.search(colour, k=3)
        assert set(hits.scene) == {name}
        assert list(hits["rank"]) == [1, 2, 3]
        assert hits.score.iloc[0] == pytest.approx(1, abs=1e-5)
    best = scenes.search("red", k=1).iloc[0]
    assert (best.date, best.crs, best.valid_fraction) == ("2021-06-04", "EPSG:32632", 1.0)
    assert best.geometry.bounds == pytest.approx((best.west, best.south, best.east, best.north))
    assert 8.9 < best.west < 9.1
    assert 49 < best.south < 50


def test_tiles_cover_a_scene_up_to_its_edges(model, tmp_path):
    path = write_raster(tmp_path / "a.tif", fields(100, 130), names=RGB)
    index, _ = index_scenes(model, path, tmp_path / "index", tile=320)
    cover = np.zeros((100, 130), dtype=bool)
    for row in index.to_arrow()["window"].to_pylist():
        column, top, width, height = row
        cover[top : top + height, column : column + width] = True
    assert cover.all()
    assert len(index) == 4 * 5


def test_an_example_finds_what_looks_like_it(model, folder, tmp_path):
    index_scenes(model, folder, tmp_path / "index")
    scenes = SceneIndex(tmp_path / "index", model)
    Image.fromarray(plain("green", 20, 20).transpose(1, 2, 0).copy()).save(tmp_path / "chip.png")
    raster = write_raster(tmp_path / "chip.tif", plain("green", 20, 20)[::-1], names=["blue", "green", "red"])
    for chip in (tmp_path / "chip.png", raster):
        hits = scenes.search(scenes.example(chip), k=1)
        assert hits.scene[0] == "below/brazil_2023-01-02.tif"


def test_place_and_date_narrow_a_search(model, folder, tmp_path):
    index_scenes(model, folder, tmp_path / "index")
    scenes = SceneIndex(tmp_path / "index", model)

    def found(**conditions):
        return set(scenes.search("red", k=50, **conditions).scene)

    germany, brazil, line = "germany_2021-06-04.tif", "below/brazil_2023-01-02.tif", "line.tif"
    assert found(bbox=(8, 49, 10, 51)) == {germany}
    assert found(bbox=(-50, -20, -40, -10)) == {brazil}
    assert found(bbox=(20, 49, 30, 51)) == set()
    assert found(dates=("2022-01-01", None)) == {brazil}
    assert found(dates=(None, "2022-01-01")) == {germany}
    assert found(dates=("2021-06-04", "2021-06-04")) == {germany}
    assert found(where="scene = 'line.tif'") == {line}
    # On both sides of the date line, and over it.
    east = found(bbox=(179.5, -2, 180, 2))
    west = found(bbox=(-180, -2, -179.7, 2))
    assert east == west == {line} == found(bbox=(179, -2, -179, 2))
    for bad in ((9, 50, 10), (10, 51, 11, 49), (0, 0, 400, 1)):
        with pytest.raises(ConfigurationError, match="give west, south, east, north"):
            scenes.search("red", bbox=bad)
    with pytest.raises(ConfigurationError, match=r"'June' is not written YYYY-MM-DD"):
        scenes.search("red", dates=("June", None))


def test_unchanged_scenes_are_not_read_again(model, folder, tmp_path, monkeypatch):
    index_scenes(model, folder, tmp_path / "index")
    with monkeypatch.context() as patched:
        patched.setattr("vlcore_remote_sensing.scene_index.build.window_vectors", lambda *_, **__: pytest.fail("read"))
        _, report = index_scenes(model, folder, tmp_path / "index")
        assert (report.new, report.changed, report.unchanged) == (0, 0, 3)
        SceneIndex(tmp_path / "index", model).search("red")
    write_raster(folder / "line.tif", plain("green", 32, 32), names=RGB)
    write_raster(folder / "new.tif", plain("red"), names=RGB)
    index, report = index_scenes(model, folder, tmp_path / "index")
    assert (report.new, report.changed, report.unchanged) == (1, 1, 2)
    rows = index.to_arrow().select(["scene", "window"]).to_pylist()
    right = max(row["window"][0] + row["window"][2] for row in rows if row["scene"] == "line.tif")
    assert right == 32  # tiles of the larger scene are gone


def test_an_interrupted_run_goes_on(model, folder, tmp_path, monkeypatch):
    whole, _ = index_scenes(model, folder, tmp_path / "whole")
    calls = []

    def interrupted(*arguments, **options):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(arguments)
        return window_vectors.window_vectors(*arguments, **options)

    monkeypatch.setattr("vlcore_remote_sensing.scene_index.build.window_vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_scenes(model, folder, tmp_path / "index")
    with pytest.raises(ConfigurationError, match="unfinished"):
        SceneIndex(tmp_path / "index", model)
    monkeypatch.undo()
    index, report = index_scenes(model, folder, tmp_path / "index")
    assert (report.new, report.unchanged) == (1, 2)
    assert sorted(index.ids()) == sorted(whole.ids())


def test_bad_scenes_are_listed_together_before_anything_is_encoded(model, folder, tmp_path, monkeypatch):
    (folder / "broken.tif").write_bytes(b"no raster")
    write_raster(folder / "nowhere.tif", plain("red"), names=RGB, crs=None)
    write_raster(folder / "unnamed.tif", np.zeros((4, 40, 40), dtype=np.uint16))
    with monkeypatch.context() as patched:
        patched.setattr("vlcore_remote_sensing.scene_index.build.window_vectors", lambda *_, **__: pytest.fail("read"))
        with pytest.raises(ManifestError) as caught:
            index_scenes(model, folder, tmp_path / "index")
    for part in ("3 problems", "broken.tif: ", "nowhere.tif: ", "no coordinate reference", "unnamed.tif: ", "'red'"):
        assert part in str(caught.value)
    _, report = index_scenes(model, folder, tmp_path / "index", on_bad_scene="skip")
    assert (report.new, len(report.refused)) == (3, 3)


def test_scenes_without_anything_in_them_are_told_too(model, folder, tmp_path):
    write_raster(folder / "void.tif", np.zeros((3, 40, 40), dtype=np.uint8), names=RGB, nodata=0)
    with pytest.raises(SceneError, match=r"void.tif is empty from edge to edge"):
        index_scenes(model, folder, tmp_path / "index")
    _, report = index_scenes(model, folder, tmp_path / "index", on_bad_scene="skip")
    assert [problem.place for problem in report.refused] == ["void.tif"]


def test_empty_tiles_are_left_out_and_counted(model, tmp_path):
    pixels = fields(96, 96)
    pixels[:, :, 40:] = 0
    path = write_raster(tmp_path / "a.tif", pixels, names=RGB, nodata=0)
    index, report = index_scenes(model, path, tmp_path / "index", tile=320, least_valid=0.2)
    assert (len(index), report.too_empty) == (6, 3)
    assert sorted(set(index.to_arrow()["valid_fraction"].to_pylist())) == [0.25, 1.0]


def test_the_index_is_bound_to_its_model_and_its_kind(model, folder, tmp_path):
    index_scenes(model, folder, tmp_path / "index")
    other = colour_model()
    other.fingerprint = "another"
    with pytest.raises(FingerprintMismatchError):
        SceneIndex(tmp_path / "index", other)
    Index.begin(tmp_path / "images", fingerprint="colours", width=3).finish()
    with pytest.raises(ConfigurationError, match="an index of images, not of scenes"):
        SceneIndex(tmp_path / "images", model)


def test_geoparquet_holds_outlines_and_vectors(model, folder, tmp_path):
    index_scenes(model, folder, tmp_path / "index")
    scenes = SceneIndex(tmp_path / "index", model)
    table = geopandas.read_parquet(scenes.to_geoparquet(tmp_path / "tiles.parquet"))
    assert len(table) == len(scenes)
    assert table.crs == CRS.from_epsg(4326)
    red = table[table.scene == "germany_2021-06-04.tif"]
    assert np.stack(red.vector.to_list()) @ model.embed_texts(["red"])[0] == pytest.approx(1, abs=1e-5)
    inside = geopandas.read_parquet(tmp_path / "tiles.parquet", bbox=(8, 49, 10, 51))
    assert set(inside.scene) == {"germany_2021-06-04.tif"}


def test_a_folder_without_scenes_is_told(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no rasters"):
        index_scenes(model, tmp_path / "empty", tmp_path / "index")


# The commands.


@pytest.fixture
def commands(monkeypatch, tmp_path):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda *_: colour_model())
    monkeypatch.setattr("vlcore.retrieval.index.Index.require_model_path", lambda _: tmp_path)
    assert index_command.index


def test_index_and_search_from_the_command_line(commands, folder, tmp_path, capsys):
    index, tiles = tmp_path / "scenes.index", tmp_path / "tiles.parquet"
    (folder / "broken.tif").write_bytes(b"no raster")
    make = ["remote-sensing", "index", str(folder), "-o", str(index), "--model", "m"]
    assert main(make) == 2
    assert main([*make, "--on-bad-scene", "skip", "--parquet", str(tiles)]) == 0
    out, err = capsys.readouterr()
    assert "left out: broken.tif: " in err
    assert "scenes: 3 new, 0 changed, 0 unchanged, 1 left out" in out
    assert len(geopandas.read_parquet(tiles)) > 3
    hits, sheet = tmp_path / "hits.geojson", tmp_path / "hits.png"
    find = ["remote-sensing", "search", str(index), "green", "-k", "3"]
    assert main([*find, "-o", str(hits), "--sheet", str(sheet)]) == 0
    assert "below/brazil_" in capsys.readouterr().out
    assert set(geopandas.read_file(hits).scene) == {"below/brazil_2023-01-02.tif"}
    with Image.open(sheet) as image:
        assert image.width > 500
    assert main([*find, "--bbox", "-50", "-20", "-40", "-10", "--since", "2024-01-01"]) == 0
    assert main([*find, "-o", "hits.txt"]) == 2
    assert main([*find, "--where", "colour = 'green'"]) == 2
