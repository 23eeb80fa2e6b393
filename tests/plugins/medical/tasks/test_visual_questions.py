"""Answering questions: what needs the image is learned with it and not without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import EvaluationError
from vlcore_medical.heads.answer import Fusion
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.visual_questions import (
    AnswerSettings,
    Questions,
    encode_questions,
    fit_answers,
    held_out_accuracy,
    majority_answers,
)

QUICK = FitSettings(epochs=15, batch_size=20, learning_rate=2e-2)


def questions(seed: int = 0) -> Questions:
    """Two questions that read an image's two signs: neither image nor question alone tells the answer."""
    generator = np.random.default_rng(seed)
    signs = generator.choice([-1.0, 1.0], size=(40, 2))
    image = np.repeat(signs, 4, axis=0) * 3
    which = np.tile([0, 0, 1, 1], 40)
    asked = np.eye(2)[which]
    noise = generator.normal(size=(160, 2)) * 0.1
    answers = ["yes" if image[row, kind] > 0 else "no" for row, kind in enumerate(which)]
    text = nn.functional.normalize(
        torch.tensor([[1.0, 0.2] if one == "yes" else [-1.0, 0.2] for one in answers]), dim=1
    )
    return Questions(
        torch.tensor(image + noise, dtype=torch.float32),
        torch.tensor(asked + noise, dtype=torch.float32),
        answers,
        text,
        torch.tensor(which == 0),
        [f"image {row // 4}" for row in range(160)],
    )


@pytest.mark.parametrize(
    ("fusion", "learned"), [("product", True), ("bilinear", True), ("film", True), ("none", False)]
)
def test_the_answer_needs_both_image_and_question(fusion: Fusion, learned: bool) -> None:
    settings = AnswerSettings(fusion, components=2, hidden=32, dropout=0.1, training=QUICK)
    accuracy = held_out_accuracy(questions(), settings, folds=2)
    assert accuracy > 90 if learned else accuracy < 70


def test_a_seed_repeats_itself() -> None:
    data = questions()
    settings = AnswerSettings("product", components=2, hidden=16, training=FitSettings(epochs=2))
    one, other = (fit_answers(data, settings, seed=3) for _ in range(2))
    assert all(torch.equal(one.state_dict()[name], value) for name, value in other.state_dict().items())


def test_the_vocabulary_is_that_of_training_alone() -> None:
    data = questions()
    yes = data.subset(np.flatnonzero([answer == "yes" for answer in data.answers]))
    model = fit_answers(yes, AnswerSettings("none", hidden=8, training=FitSettings(epochs=1)))
    assert model.vocabulary == ["yes"]
    assert set(model.predict(data.image, data.question)) == {"yes"}


def test_the_majority_is_taken_by_kind() -> None:
    data = questions()
    closed = [a for a, kind in zip(data.answers, data.closed.tolist(), strict=True) if kind]
    told = majority_answers(data, data)
    assert told[0] == max(("no", "yes"), key=closed.count)
    assert len(set(told[:1] + told[1:2])) == 1
    only_closed = data.subset(np.flatnonzero(data.closed.numpy()))
    assert majority_answers(only_closed, data)[2] == ""


@pytest.mark.parametrize(
    "wrong", [{"texts": ()}, {"labels": {"answer": "yes"}}, {"labels": {"answer_type": "OPEN"}}, {"group": None}]
)
def test_records_that_are_no_questions_are_told(wrong: dict[str, Any]) -> None:
    fine: dict[str, Any] = {
        "texts": (Text("Is it?", kind="question"),),
        "labels": {"answer": "yes", "answer_type": "CLOSED"},
        "group": "a.jpg",
    }
    record = Record("q7", ImageRef(Path("a.jpg")), **{**fine, **wrong})
    with pytest.raises(EvaluationError, match="Record 'q7' is no question"):
        encode_questions([record], None)  # type: ignore[arg-type]
