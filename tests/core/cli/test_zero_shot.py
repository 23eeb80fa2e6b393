from __future__ import annotations

import json

from PIL import Image

from vlcore.cli.main import main


def test_classify(tmp_path, colour_model, monkeypatch, capsys):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    paths = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    for path, colour in zip(paths, [(220, 30, 30), (40, 60, 220)], strict=True):
        Image.new("RGB", (20, 20), colour).save(path)
    arguments = ["classify", "model", *paths, "--labels"]
    assert main([*arguments, "blue", "red", "--format", "json", "-k", "1"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["image"], row["label"]) for row in rows] == [(paths[0], "red"), (paths[1], "blue")]
    (tmp_path / "labels.txt").write_text("blue\nred\n\n")
    assert main([*arguments, str(tmp_path / "labels.txt"), "-o", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "image,rank,label,probability"
    assert main([*arguments, "red", "red"]) == 2
