"""From a manifest of questions to a model directory that answers, with its scores beside their floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vlcore.align.data import TEST, Towers, describe, with_splits
from vlcore.data.manifest import Manifest
from vlcore.data.progress import track
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore.models.headed_towers import HeadedTowers
from vlcore_medical.heads.answer import FUSIONS
from vlcore_medical.metrics.answers import AnswerScores, answer_scores
from vlcore_medical.tasks.visual_questions import (
    AnswerSettings,
    Questions,
    encode_questions,
    fit_answers,
    held_out_accuracy,
    majority_answers,
)

COMPONENTS = (4, 16)
TRIED = (
    AnswerSettings("none"),
    *(AnswerSettings(fusion, size) for fusion in FUSIONS if fusion != "none" for size in COMPONENTS),
)
"""The blind head, and every way in which the image may enter; the choice is made on training images."""

PURPOSE = 'Answers questions about medical images: vlcore medical ask IMAGE "question" -m THIS_FOLDER.'


@dataclass(frozen=True)
class AnswerTraining:
    """What was trained, and how well it answers.

    Attributes:
        held_out: accuracy on training images that were left out, per cent, of each of the settings that were tried.
        chosen: settings of the head.
        scores: on the test split, or None where the manifest has none: of the head (`image and question`), of the same
            head without images (`question only`), and of the most frequent answers (`majority`).
    """

    held_out: list[tuple[AnswerSettings, float]]
    chosen: AnswerSettings
    scores: dict[str, AnswerScores] | None


def train_answers(
    manifest: Manifest,
    output: Path,
    towers: Towers,
    *,
    tried: Sequence[AnswerSettings] = TRIED,
    folds: int = 3,
    seed: int = 0,
    bootstrap: int = 1000,
    command: str = "",
    progress: bool = True,
) -> AnswerTraining:
    """Choose a head on held-out training images, train it, look at the test split once, save.

    Args:
        manifest: of a reader of questions; without split names vlcore assigns 80 % train and 20 % test by image.
        output: model directory to write.
        towers: frozen, with their cache.
        tried: settings to choose from; at least one that sees the image.
        folds: over the images of train and val.
        seed: of folds, weights and bootstrap.
        bootstrap: resamples of the 95 % intervals.
        command: for the model card.
        progress: show bars on standard error.

    Raises:
        EvaluationError: if a record is no question.
        ConfigurationError: if there are too few images.
        ModelDirectoryError: if `output` holds something that is no model directory.
    """
    records, assigned = with_splits(list(manifest), seed)
    rest = encode_questions([one for one in records if one.split != TEST], towers, progress=progress)
    held_out = []
    with track(len(tried), "choosing a head", progress and len(tried) > 1) as advance:
        for settings in tried:
            held_out.append((settings, held_out_accuracy(rest, settings, folds=folds, seeds=(seed,))))
            advance(1)
    chosen = max((one for one in held_out if one[0].fusion != "none"), key=lambda one: one[1])[0]
    head = fit_answers(rest, chosen, seed=seed)
    test_records = [one for one in records if one.split == TEST]
    scores = None
    if test_records:
        test = encode_questions(test_records, towers, progress=progress)
        blind = fit_answers(rest, replace(chosen, fusion="none"), seed=seed)
        told = {
            "image and question": head.predict(test.image, test.question),
            "question only": blind.predict(test.image, test.question),
            "majority": majority_answers(rest, test),
        }
        scores = {name: _score(answers, test, bootstrap, seed) for name, answers in told.items()}
    data = describe(records, assigned=assigned)
    data |= {"reader": manifest.format, "answers": len(head.vocabulary), "images_in_train": len(set(rest.images))}
    if test_records:
        data["test_images_also_in_train"] = len(set(test.images) & set(rest.images))
    card = ModelCard(
        name=output.resolve().name,
        purpose=PURPOSE,
        command=command,
        data=data,
        training={"head": chosen.to_dict(), "held_out_accuracy": _named(held_out), "folds": folds, "seed": seed},
        scores={} if scores is None else {TEST: asdict(scores["image and question"])},
        floors={name: {TEST: asdict(one)} for name, one in (scores or {}).items() if name != "image and question"},
    )
    save_model_directory(output, HeadedTowers(towers.image, towers.text, head), card)
    return AnswerTraining(held_out, chosen, scores)


def _score(told: list[str], test: Questions, bootstrap: int, seed: int) -> AnswerScores:
    return answer_scores(told, test.answers, test.closed.numpy(), test.images, repeats=bootstrap, seed=seed)


def _named(held_out: list[tuple[AnswerSettings, float]]) -> dict[str, Any]:
    return {
        "question only" if one.fusion == "none" else f"{one.fusion}, {one.components} components": accuracy
        for one, accuracy in held_out
    }
