from __future__ import annotations

import json

import pytest
from PIL import Image

from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest


@pytest.fixture
def pool(tmp_path, colour_model, monkeypatch):
    """Nine red and two blue images, two of the red ones the same file."""
    monkeypatch.setattr("vlcore.retrieval.model.load", lambda path, device=None: colour_model)
    colour_model.embed_images = _embed(colour_model)
    folder = tmp_path / "pool"
    folder.mkdir()
    rows = []
    for number in range(11):
        colour = (40 + 3 * number, 60, 220) if number > 8 else (220, 30 + 4 * min(number, 7), 30)
        Image.new("RGB", (20, 20), colour).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": f"square {number}", "group": f"g{number}", "split": "train"})
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _embed(model):
    from vlcore.retrieval.images import image_batches

    def embed_images(images, batch_size=64, progress=False):
        import numpy as np

        batches = image_batches(images, model.preprocess, batch_size, False, "raise", None)
        return np.concatenate([model.embed_pixels(batch) for batch in batches])

    return embed_images


def test_so_many_of_each_concept_are_chosen_and_the_manifest_can_be_read(pool, capsys):
    (pool / "concepts.txt").write_text("red\n\nblue\ngreen\n")
    target = pool / "balanced.jsonl"
    arguments = ["curate", "model", str(pool / "captions.jsonl"), str(pool / "concepts.txt"), "-o", str(target)]
    assert main([*arguments, "--per-concept", "3"]) == 0
    shown = capsys.readouterr().out
    assert "5 of 11 images" in shown and "no image is nearest to 1 concepts" in shown
    records = list(open_manifest(target))
    assert [record.labels["concept"] for record in records].count("red") == 3
    assert {record.image.path.name for record in records if record.labels["concept"] == "blue"} == {"9.png", "10.png"}
    assert all(record.texts[0].text.startswith("square") and record.group and record.split for record in records)
    # A second time it would overwrite.
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err


def test_the_same_file_is_taken_once_and_paths_start_from_where_the_images_are(pool, tmp_path, capsys):
    (pool / "concepts.txt").write_text("red\nblue\n")
    target = tmp_path / "elsewhere.jsonl"
    arguments = ["curate", "model", str(pool / "captions.jsonl"), str(pool / "concepts.txt"), "-o", str(target)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "1 doubles passed over" in shown and f"--image-root {pool}" in shown.replace("\n", "")
    assert len(list(open_manifest(target, image_root=pool))) == 10


@pytest.mark.parametrize(
    ("text", "message"), [("", "names no concept"), ("red\nblue\nred\n", "line 3: 'red' is in line 1 already")]
)
def test_concepts_that_cannot_be_used_are_told(pool, text, message, capsys):
    (pool / "concepts.txt").write_text(text)
    arguments = [
        "curate",
        "model",
        str(pool / "captions.jsonl"),
        str(pool / "concepts.txt"),
        "-o",
        str(pool / "b.jsonl"),
    ]
    assert main(arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (pool / "b.jsonl").exists()


def test_a_mark_at_the_beginning_of_the_file_is_no_part_of_a_concept(pool):
    (pool / "concepts.txt").write_bytes("\ufeffred\r\nblue\r\n".encode())
    target = pool / "b.jsonl"
    assert main(["curate", "model", str(pool / "captions.jsonl"), str(pool / "concepts.txt"), "-o", str(target)]) == 0
    assert {record.labels["concept"] for record in open_manifest(target)} == {"red", "blue"}


def test_concepts_in_another_encoding_are_told(pool, capsys):
    (pool / "concepts.txt").write_bytes("bl\xfc".encode("latin-1"))
    arguments = ["curate", "model", str(pool / "captions.jsonl"), str(pool / "concepts.txt")]
    assert main([*arguments, "-o", str(pool / "b.jsonl")]) == 2
    assert "is no UTF-8 text" in " ".join(capsys.readouterr().err.split())
