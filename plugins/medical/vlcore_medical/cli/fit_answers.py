"""`vlcore medical fit-answers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlcore_medical.tasks.train_answers import AnswerTraining


def fit_answers(
    questions: Path,
    output: Path,
    reader: str = "medical/vqa_rad:protocol=strict",
    image_root: Path | None = None,
    lang: str | None = None,
    image_encoder: str = "starter/efficientnet_lite0",
    text_encoder: str = "starter/minilm_layers",
    folds: int = 3,
    seed: int = 0,
    cache: Path | None = None,
    bootstrap: int = 1000,
    device: str | None = None,
) -> None:
    """Train a model that answers questions about images, on frozen towers, and score it beside its floors.

    How the image enters is chosen on training images that were left out; the test split is looked at once. The
    answers are those of training. What only the question tells is printed beside what image and question tell: on
    VQA-RAD with the starter towers the two are alike.

    Examples:
        vlcore medical fit-answers vqa_rad/qa.jsonl -o answers.model
        vlcore medical fit-answers slake/ -o answers.model --reader medical/slake --lang en

    Args:
        questions: what the reader reads: VQA-RAD's file, SLAKE's folder.
        output: model directory to write.
        reader: of questions: vqa_rad, slake, pathvqa or vqa_med, options behind a colon; strict splits by image.
        image_root: folder that image paths start from; the reader's own choice if left out.
        lang: keep the questions of this language only.
        image_encoder: image tower, source/name; `vlcore doctor` lists the sources.
        text_encoder: text tower, source/name.
        folds: held-out parts of the training images.
        seed: of folds, weights and bootstrap.
        cache: folder of cached features; $VLCORE_CACHE or ~/.cache/vlcore if left out.
        bootstrap: resamples of the 95 % intervals.
        device: cuda, mps or cpu, for the towers; chosen if left out.
    """
    from vlcore.align.data import Towers
    from vlcore.data.manifest import open_manifest
    from vlcore.hub.model_card import command_line
    from vlcore_medical.tasks.train_answers import train_answers

    done = train_answers(
        open_manifest(questions, reader=reader, image_root=image_root, lang=lang),
        output,
        Towers.build(image_encoder, text_encoder, cache, device),
        folds=folds,
        seed=seed,
        bootstrap=bootstrap,
        command=command_line(),
    )
    print_training(done)
    print(f'Model: {output}\n\nNext:\n  vlcore medical ask IMAGE "a question" -m {output}')


def print_training(done: AnswerTraining) -> None:
    """Print what was tried, and the scores beside their floors."""
    from vlcore.cli.console import print_table

    rows = [
        (
            "chosen" if one == done.chosen else "",
            one.fusion if one.fusion != "none" else "none (question only)",
            "" if one.fusion == "none" else str(one.components),
            f"{accuracy:.1f}",
        )
        for one, accuracy in sorted(done.held_out, key=lambda one: -one[1])
    ]
    print_table(("", "image enters by", "components", "accuracy"), rows, "Tried on held-out training images (per cent)")
    if done.scores is None:
        print("No test split: not scored.")
        return
    cells = []
    for name, scores in done.scores.items():
        for kind in ("overall", "closed", "open"):
            value, ends = scores.accuracy[kind], scores.interval_95[kind]
            told = ("", "") if value is None or ends is None else (f"{value:.1f}", f"{ends[0]:.1f} to {ends[1]:.1f}")
            cells.append((name if kind == "overall" else "", kind, str(scores.questions[kind]), *told))
    print_table(("test split", "questions", "number", "accuracy", "95 % interval"), cells)
