"""`vlcore audit`: leaks between splits on a manifest, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore.cli.main import main


def test_a_clean_manifest_has_no_leaks(tiny_manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Its texts repeat from one split to the other, so only a manifest of two different rows is clean.
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    rows = [{**rows[0], "texts": ["a red square"]}, {**rows[-1], "texts": ["a white square"]}]
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["audit", str(tiny_manifest), "--no-images"]) == 0
    assert "No leaks." in capsys.readouterr().out


def test_a_repeated_image_and_group_are_leaks(tiny_manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    (tiny_manifest.parent / "copy.png").write_bytes((tiny_manifest.parent / rows[0]["image"]).read_bytes())
    rows = [{**row, "group": f"scene {number}"} for number, row in enumerate(rows)]
    rows.append({"image": "copy.png", "text": "nothing else says this", "split": "test", "group": "scene 0"})
    tiny_manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["audit", str(tiny_manifest)]) == 1
    out = capsys.readouterr().out
    assert "The splits leak" in out
    assert main(["audit", str(tiny_manifest), "--format", "json"]) == 1
    assert "copy.png" in json.dumps(json.loads(capsys.readouterr().out))
