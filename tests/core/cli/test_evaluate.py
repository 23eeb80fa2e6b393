from __future__ import annotations

import json

import pytest

from vlcore.cli.main import main


@pytest.fixture(autouse=True)
def fake_model(colour_model, monkeypatch):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    monkeypatch.setenv("COLUMNS", "120")


def run(manifest, output, *arguments):
    return main(["evaluate", "model", str(manifest), "-o", str(output), "--bootstrap", "20", *arguments])


def test_scores_are_printed_with_intervals_chance_and_floor(tiny_manifest, tmp_path, capsys):
    assert run(tiny_manifest, tmp_path / "first.json") == 0
    assert run(tiny_manifest, tmp_path / "second.json", "--floor", str(tmp_path / "first.json")) == 0
    out = capsys.readouterr().out
    for words in ("mean recall", "95 % interval", "chance", "first", "duplicate tolerant", "balanced accuracy"):
        assert words in out
    stored = json.loads((tmp_path / "second.json").read_text())
    assert stored["retrieval"]["standard"]["floor"]["first"]["mean_recall"] > 0
    assert stored["protocol"]["split"] == "test"


def test_all_records(tiny_manifest, tmp_path):
    assert run(tiny_manifest, tmp_path / "all.json", "--split", "all") == 0
    assert json.loads((tmp_path / "all.json").read_text())["protocol"]["images"] == 12


def test_mistakes(tiny_manifest, tmp_path, capsys):
    assert run(tiny_manifest, tmp_path / "x.json", "--split", "dev") == 2
    assert "'test', 'train'" in capsys.readouterr().err
    (tmp_path / "floor.json").write_text("[]")
    assert run(tiny_manifest, tmp_path / "x.json", "--floor", str(tmp_path / "floor.json")) == 2
    assert "no result of `vlcore evaluate`" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_a_report_shows_both_directions_and_the_confusion_of_classes(tiny_manifest, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert run(tiny_manifest, tmp_path / "scores.json", "--split", "all", "--report", str(page)) == 0
    assert f"Report: {page}" in capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    assert "Words → images" in html and "Image → words" in html and "Zero-shot confusion" not in html
    assert "Confusion matrix of the zero-shot classes" in html
    assert html.count("data:image/jpeg;base64,") > 12 and "no picture" not in html
    assert sorted(path.name for path in tmp_path.glob("report_*.png")) == ["report_confusion.png", "report_recall.png"]
