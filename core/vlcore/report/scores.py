"""Scores of a result as the rows, tiles and sentences of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIRECTIONS = {"image_to_text": "image → text", "text_to_image": "text → image"}
RECALLS = {"r1": "R@1", "r5": "R@5", "r10": "R@10"}
RANKS = {"median_rank": "median rank"}
VARIANTS = {"standard": "Standard", "duplicate_tolerant": "Duplicate-tolerant"}
FLOORS = {"closed_form": "closed-form floor"}
CLASSIFICATION = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "top5": "top-5 accuracy",
    "ece": "calibration error",
}


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A score with what it must be read against; texts, empty where there is none."""

    score: str
    interval: str
    floors: tuple[str, ...]
    chance: str


@dataclass(frozen=True)
class ScoreRow:
    """One measure in every variant.

    Attributes:
        group: direction.
        name: measure.
        cells: one per variant.
    """

    group: str
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ScoreTable:
    """Scores of both directions, standard and duplicate-tolerant side by side."""

    variants: tuple[str, ...]
    floors: tuple[str, ...]
    rows: tuple[ScoreRow, ...]


def number(value: Any, digits: int = 1) -> str:
    """A number with one decimal; `n/a` where there is none."""
    return "n/a" if value is None else f"{float(value):,.{digits}f}"


def per_cent(value: Any) -> str:
    """`72.3 %`, unbreakable."""
    return "n/a" if value is None else f"{float(value):.1f}\u00a0%"


def span(ends: Sequence[float] | None) -> str:
    """`68.1 to 76.0`, or nothing."""
    return f"{ends[0]:.1f}\u00a0to\u00a0{ends[1]:.1f}" if ends else ""


def score_table(retrieval: Mapping[str, Any]) -> ScoreTable:
    """All measures of a result's `retrieval` part."""
    variants = tuple(name for name in VARIANTS if retrieval.get(name))
    floors = tuple(dict.fromkeys(name for variant in variants for name in retrieval[variant].get("floor") or {}))
    rows = [
        ScoreRow(DIRECTIONS[side], label, tuple(_cell(retrieval[variant], floors, side, key) for variant in variants))
        for side in DIRECTIONS
        for key, label in {**RECALLS, **RANKS}.items()
    ]
    rows.append(
        ScoreRow("both", "mean recall", tuple(_cell(retrieval[variant], floors, "mean_recall") for variant in variants))
    )
    return ScoreTable(
        tuple(VARIANTS[name] for name in variants), tuple(FLOORS.get(name, name) for name in floors), tuple(rows)
    )


def _cell(scores: Mapping[str, Any], floors: Sequence[str], *path: str) -> Cell:
    floor = scores.get("floor") or {}
    return Cell(
        number(_at(scores, *path)),
        span(_at(scores.get("interval"), *path)),
        tuple(number(_at(floor.get(name), *path)) for name in floors),
        number(_at(scores.get("chance"), *path)),
    )


def _at(values: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


def headline(result: Mapping[str, Any]) -> list[Tile]:
    """The numbers that a reader should see first."""
    tiles = []
    retrieval, zero_shot = result.get("retrieval"), result.get("zero_shot")
    if retrieval:
        standard = retrieval["standard"]
        interval = span(_at(standard, "interval", "mean_recall"))
        tiles.append(
            Tile("Mean recall", per_cent(standard["mean_recall"]), f"95\u00a0% interval {interval}" if interval else "")
        )
        for name, scores in (standard.get("floor") or {}).items():
            label = FLOORS.get(name, name)
            note = "same features, settings not tuned" if name == "closed_form" else "the score to beat"
            tiles.append(Tile(label[:1].upper() + label[1:], per_cent(scores["mean_recall"]), note))
        if standard.get("chance"):
            tiles.append(Tile("Chance", per_cent(standard["chance"]["mean_recall"]), "a random order"))
        tolerant = retrieval.get("duplicate_tolerant")
        if tolerant:
            note = "equal captions and images stand for each other"
            tiles.append(Tile("Duplicate-tolerant", per_cent(tolerant["mean_recall"]), note))
    if zero_shot:
        chance = _at(zero_shot, "floor", "chance", "accuracy")
        note = f"{zero_shot['classes']} classes" + (f", chance {per_cent(chance)}" if chance is not None else "")
        tiles.append(Tile("Zero-shot accuracy", per_cent(zero_shot["accuracy"]), note))
    return tiles


def in_words(result: Mapping[str, Any]) -> str:
    """What the numbers mean, in two sentences."""
    retrieval, zero_shot = result.get("retrieval"), result.get("zero_shot")
    if retrieval:
        scores = retrieval["standard"]
        side = scores["text_to_image"]
        text = (
            f"Given a caption, the model puts the right one of {side['gallery']:,} images first for "
            f"{per_cent(side['r1'])} of {side['queries']:,} captions, and among the first ten for "
            f"{per_cent(side['r10'])}. Mean recall, the mean of recall at 1, 5 and 10 in both directions, is "
            f"{per_cent(scores['mean_recall'])}"
        )
        below = [f"{FLOORS.get(name, name)} {per_cent(floor['mean_recall'])}" for name, floor in
                 (scores.get("floor") or {}).items()]  # fmt: skip
        if scores.get("chance"):
            below.append(f"chance {per_cent(scores['chance']['mean_recall'])}")
        return f"{text}; the scores to read it against: {', '.join(below)}." if below else f"{text}."
    if zero_shot:
        return (
            f"Told only the names of {zero_shot['classes']} classes, the model names the right one for "
            f"{per_cent(zero_shot['accuracy'])} of {zero_shot['samples']:,} images. Balanced accuracy, which counts "
            f"every class alike, is {per_cent(zero_shot['balanced_accuracy'])}."
        )
    return ""


def classification_rows(zero_shot: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the zero-shot table: measure, score, interval, and one column per floor."""
    floors = list(zero_shot.get("floor") or {})
    rows = []
    for key, label in CLASSIFICATION.items():
        if zero_shot.get(key) is not None:
            beside = [number(value) if (value := _at(zero_shot, "floor", name, key)) is not None else "" for name in
                      floors]  # fmt: skip
            rows.append([label, number(zero_shot[key]), span(_at(zero_shot, "interval", key)), *beside])
    return ["measure", "score", "95\u00a0% interval", *floors], rows
