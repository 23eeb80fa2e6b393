from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

from vlcore.cli.main import main


@pytest.fixture
def index(tiny_manifest, tmp_path, colour_model, monkeypatch):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    assert main(["index", "model", str(tiny_manifest), "-o", str(tmp_path / "photos.index")]) == 0
    return tmp_path / "photos.index"


def search(index, *arguments):
    return main(["search", str(index), *map(str, arguments), "-m", "model"])


def test_table(index, capsys):
    assert search(index, "something yellow", "-k", 2) == 0
    out = capsys.readouterr().out
    assert "yellow_3.png" in out and "yellow_9.png" in out and "red" not in out


def test_json_and_filter(index, capsys):
    capsys.readouterr()
    assert search(index, "blue", "--where", "split = 'test'", "--format", "json", "-k", 3) == 0
    hits = json.loads(capsys.readouterr().out)
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert hits[0]["id"] == "blue_8.png" and {hit["split"] for hit in hits} == {"test"}


def test_image_query_to_csv(index, tmp_path, capsys):
    Image.new("RGB", (30, 50), (230, 210, 40)).save(tmp_path / "query.png")
    assert (
        search(index, "--image", tmp_path / "query.png", "--format", "csv", "-o", tmp_path / "hits.csv", "-k", 2) == 0
    )
    with (tmp_path / "hits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == {"yellow_3.png", "yellow_9.png"}
    assert json.loads(rows[0]["texts"])[0] == "a yellow square ."


def test_html_is_one_safe_page(index, tmp_path):
    query = "<script>alert('red')</script>"
    assert search(index, query, "--format", "html", "-o", tmp_path / "hits.html", "-k", 3) == 0
    page = (tmp_path / "hits.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http" not in page


def test_html_tells_of_images_that_are_gone(index, tmp_path, tiny_manifest):
    for path in tiny_manifest.parent.glob("red_*.png"):
        path.unlink()
    assert search(index, "red", "--format", "html", "-o", tmp_path / "hits.html", "-k", 2) == 0
    assert (tmp_path / "hits.html").read_text(encoding="utf-8").count("not readable") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["red", "--where", "colour = 'x'"], "Columns: id (string)"),
        ([], "Give either words"),
        (["red", "--image", "x.png"], "Give either words"),
        (["red", "-k", "0"], "at least one"),
        (["--image", "nowhere.png"], "nowhere.png"),
    ],
)
def test_mistakes_are_one_readable_paragraph(index, arguments, message, capsys):
    capsys.readouterr()
    assert search(index, *arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.out == ""


def test_the_index_knows_its_model(index, capsys):
    assert main(["search", str(index), "red"]) == 2
    assert "--model DIR" in capsys.readouterr().err
