from __future__ import annotations

import pytest

from vlcore.cli.main import main


@pytest.fixture(autouse=True)
def fake_model(colour_model, monkeypatch):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)


def test_make_then_update(tiny_manifest, tmp_path, capsys):
    arguments = ["index", "model", str(tiny_manifest), "-o", str(tmp_path / "index")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "12 images; 12 new" in out and "label (string)" in out
    assert main(arguments) == 0
    assert "0 new, 0 replaced, 12 unchanged" in capsys.readouterr().out


def test_bad_images_are_named(tiny_manifest, tmp_path, capsys):
    (tiny_manifest.parent / "red_0.png").write_bytes(b"")
    arguments = ["index", "model", str(tiny_manifest), "-o", str(tmp_path / "index")]
    assert main(arguments) == 2
    assert "red_0.png" in capsys.readouterr().err
    assert main([*arguments, "--on-bad-image", "skip"]) == 0
    shown = capsys.readouterr()
    assert "1 skipped" in shown.out and "red_0.png" in shown.err
