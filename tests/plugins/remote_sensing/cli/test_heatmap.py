"""`vlcore remote-sensing heatmap`, in the process of the test."""

from __future__ import annotations

import geopandas
import pytest
import rasterio
from colour_model import colour_model
from rasters_on_disk import fields, write_raster

from vlcore.cli.main import main
from vlcore_remote_sensing import scene_model

COMMAND = ["remote-sensing", "heatmap"]


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_model, "load", lambda path, device: colour_model())
    return str(write_raster(tmp_path / "scene.tif", fields(), names=["red", "green", "blue"]))


def test_a_scene_and_words_become_a_map(scene, tmp_path, capsys):
    map_path, hits, picture = tmp_path / "heat.tif", tmp_path / "hits.gpkg", tmp_path / "heat.png"
    options = ["--polygons", str(hits), "--preview", str(picture), "--tile", "320", "--percentile", "90"]
    assert main([*COMMAND, scene, "red", "blue", "-o", str(map_path), "--model", "m", *options]) == 0
    said = capsys.readouterr().out
    assert "80 x 60 cells, 100 % of them hold anything" in said
    assert "'red': similarity" in said
    with rasterio.open(map_path) as file:
        assert file.descriptions[:2] == ("red", "blue")
    assert set(geopandas.read_file(hits).prompt) == {"red", "blue"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert map_path.with_suffix(".qml").is_file()


def test_bands_and_sizes_are_taken_from_options(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_model, "load", lambda path, device: colour_model())
    scene = str(write_raster(tmp_path / "scene.tif", fields()[::-1]))
    output = tmp_path / "heat.tif"
    options = ["--band-names", "blue", "green", "red", "--scales", "1", "--dense", "--no-taper"]
    assert main([*COMMAND, scene, "red", "-o", str(output), "--model", "m", *options]) == 0
    with rasterio.open(output) as file:
        tags = file.tags()
    assert (tags["VLCORE_DENSE"], tags["VLCORE_BLENDING"], tags["VLCORE_SCALES"]) == ("true", "mean", "[1.0]")
    assert tags["VLCORE_BANDS"].startswith("band 3 (red")


def test_the_model_may_come_from_the_environment(scene, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("VLCORE_MODEL", raising=False)
    assert main([*COMMAND, scene, "red", "-o", str(tmp_path / "heat.tif")]) == 2
    assert "--model DIR, or the environment variable VLCORE_MODEL" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("VLCORE_MODEL", "anywhere")
    assert main([*COMMAND, scene, "red", "-o", str(tmp_path / "heat.tif")]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["red", "--polygons", "hits.shp"], "--polygons hits.shp: choose a name that ends in .gpkg"),
        (["red", "--bands", "nir"], "no band is known as 'nir'"),
        (["парк"], "does not know 1 of the 1 pieces"),
        (["red", "--tile", "20"], "an image tower sees nothing in that"),
    ],
)
def test_mistakes_are_one_message_and_write_nothing(scene, tmp_path, capsys, arguments, message):
    output = tmp_path / "heat.tif"
    assert main([*COMMAND, scene, *arguments, "-o", str(output), "--model", "m"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not output.exists()


def test_help_has_examples(capsys):
    assert main([*COMMAND, "--help"]) == 0
    said = capsys.readouterr().out
    assert 'vlcore remote-sensing heatmap scene.tif "solar farm beside a road"' in said
    assert "--on-bad-block" in said
