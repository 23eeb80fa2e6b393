from __future__ import annotations

from vlcore.cli.main import main
from vlcore.retrieval.embedding_shards import Embeddings


def test_embed_prints_counts(tiny_manifest, tmp_path, colour_model, monkeypatch, capsys):
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    (tiny_manifest.parent / "red_0.png").write_bytes(b"no image")
    arguments = ["embed", "model", str(tiny_manifest), "-o", str(tmp_path / "vectors")]
    assert main(arguments) == 2
    assert main([*arguments, "--on-bad-image", "skip"]) == 0
    shown = capsys.readouterr()
    assert "11 vectors of 8 numbers from 12 records; 1 skipped, 0 replaced" in shown.out
    assert "bad image red_0.png" in shown.err
    assert Embeddings.open(tmp_path / "vectors").vectors().shape == (11, 8)
