"""Answers as classes, their scores, and what can be reached without a look at the image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError, EvaluationError
from vlcore_medical.m3ae.answer_scores import majority_floor, question_floor, record_scores
from vlcore_medical.m3ae.answer_task import answer_loss
from vlcore_medical.m3ae.answers import answer_classes, answer_vocabulary


def asked(question, answer, kind="OPEN", identifier="x"):
    labels = {"answer": answer, "answer_type": kind}
    return Record(identifier, ImageRef(Path("x.png")), (Text(question),), labels=labels)


def test_the_vocabulary_has_the_order_of_first_occurrence_and_unknown_answers_a_class_of_their_own():
    train = [asked("q", answer) for answer in ("Right", "yes", "right.", "no", "Yes")]
    assert answer_vocabulary(train) == ("right", "yes", "no")
    assert answer_vocabulary(train, at_least=2) == ("right", "yes")
    assert answer_classes([*train, asked("q", "liver")], ("right", "yes")) == [0, 1, 0, -1, 1, -1]


def test_records_without_a_usable_answer_are_told():
    with pytest.raises(ConfigurationError, match="'x' has the label answer=7; an answer is a text"):
        answer_vocabulary([asked("q", 7)])
    with pytest.raises(ConfigurationError, match="1 answers come 1 times or more among 1 records"):
        answer_vocabulary([asked("q", "yes")])


def test_scores_are_counted_by_kind():
    test = [asked("q", "Yes", "CLOSED"), asked("q", "no", "closed"), asked("q", "lung"), asked("q", "liver", "")]
    scores = record_scores(["yes", "yes", "lung", "liver"], test)
    assert scores.accuracy == {"overall": 75.0, "closed": 50.0, "open": 100.0}
    assert scores.questions["overall"] == 4
    assert record_scores(["lung"], test[2:3]).accuracy["closed"] is None
    with pytest.raises(EvaluationError, match="got 1 predicted, 4 right ones"):
        record_scores(["yes"], test)


def test_floors_see_no_image():
    train = [asked("is there air", "no"), asked("is there air", "no"), asked("which organ", "lung")]
    test = [asked("is there air", "no"), asked("which organ", "lung"), asked("which organ", "heart")]
    assert majority_floor(train, test).accuracy["overall"] == pytest.approx(100 / 3)
    assert question_floor(train, test).accuracy["overall"] == pytest.approx(200 / 3)
    assert majority_floor([asked("q", "no"), asked("q", "a b")], [asked("q", "b")]).accuracy["overall"] == 100.0


def test_floors_of_the_real_questions(data_root):
    path = data_root / "medical" / "vqa_rad" / "qa.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    parts = {
        split: [asked(row["question"], row["answer"], row["answer_type"]) for row in rows if row["split"] == split]
        for split in ("train", "test")
    }
    assert (len(parts["train"]), len(parts["test"])) == (1797, 451)
    floors = (floor(parts["train"], parts["test"]).accuracy for floor in (majority_floor, question_floor))
    majority, question = floors
    assert majority == pytest.approx({"overall": 29.5, "closed": 48.9, "open": 0.0}, abs=0.05)
    assert question["overall"] == pytest.approx(42.1, abs=1.0)


@pytest.mark.parametrize("kind", ["binary", "softmax"])
def test_the_loss_is_that_of_a_slow_reference(kind):
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([2, -1, 0, 1])
    losses = []
    for row, answer in zip(logits.tolist(), answers.tolist(), strict=True):
        values = torch.tensor(row, dtype=torch.float64)
        if kind == "binary":
            chances = 1 / (1 + torch.exp(-values))
            terms = [chance if place == answer else 1 - chance for place, chance in enumerate(chances)]
            losses.append(-float(sum(term.log() for term in terms)))
        elif answer >= 0:
            losses.append(float(values.exp().sum().log() - values[answer]))
    assert float(answer_loss(logits, answers, kind)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_a_batch_of_unknown_answers_teaches_no_class():
    logits = torch.randn(2, 3, requires_grad=True)
    answer_loss(logits, torch.tensor([-1, -1]), "softmax").backward()
    assert torch.equal(logits.grad, torch.zeros(2, 3))
