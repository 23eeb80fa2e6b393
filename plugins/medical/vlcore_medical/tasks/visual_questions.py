"""Answering questions about medical images on the features of frozen towers, beside what answers without the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vlcore.align.data import Towers
from vlcore.align.features import Indices, group_folds
from vlcore.data.feature_cache import cache_image_features, cache_text_features
from vlcore.data.record import Record
from vlcore.errors import EvaluationError
from vlcore_medical.heads.answer import AnswerHead, Fusion
from vlcore_medical.metrics.answers import normalise_answer
from vlcore_medical.tasks.fit import FitSettings, fit

CLOSED = "CLOSED"


@dataclass(frozen=True)
class Questions:
    """N questions as frozen towers see them.

    Attributes:
        image: `[N, Wi]` pooled features of the image of each question.
        question: `[N, Wq]` pooled features of the words.
        answers: N normalised answers.
        answer_features: `[N, Wa]` text features of the answers, of unit norm.
        closed: `[N]` bool, True where the answer is yes, no or one of a choice.
        images: N names of images.
    """

    image: Tensor
    question: Tensor
    answers: list[str]
    answer_features: Tensor
    closed: Tensor
    images: list[str]

    def __len__(self) -> int:
        return len(self.answers)

    def subset(self, rows: Indices) -> Questions:
        """The given questions, in that order."""
        index = torch.from_numpy(rows)
        return Questions(
            self.image[index],
            self.question[index],
            [self.answers[row] for row in rows],
            self.answer_features[index],
            self.closed[index],
            [self.images[row] for row in rows],
        )


def encode_questions(records: Sequence[Record], towers: Towers, *, progress: bool = False) -> Questions:
    """Features of the records of a reader of questions: one text, labels `answer` and `answer_type`, grouped by image.

    Raises:
        EvaluationError: naming the first record that has no question, answer or group.
        ImageDecodeError: for an image that cannot be read.
    """
    for record in records:
        if not record.texts or "answer" not in record.labels or "answer_type" not in record.labels or not record.group:
            raise EvaluationError(
                f"Record {record.id!r} is no question: it needs a text, the labels 'answer' and 'answer_type', and its "
                f"image as group. Use a reader of questions, such as medical/vqa_rad."
            )
    answers = [normalise_answer(record.labels["answer"]) for record in records]
    images = cache_image_features(
        records, towers.image.preprocess, towers.encode_images, towers.image_cache, progress=progress
    )
    words = [record.texts[0].text for record in records]
    question, answer = (
        torch.tensor(cache_text_features(texts, towers.encode_texts, towers.text_cache, progress=progress).rows)
        for texts in (words, answers)
    )
    return Questions(
        torch.tensor(images.rows),
        question,
        answers,
        nn.functional.normalize(answer, dim=1),
        torch.tensor([record.labels["answer_type"] == CLOSED for record in records]),
        [str(record.group) for record in records],
    )


@dataclass(frozen=True)
class AnswerSettings:
    """An answer head and its training.

    Attributes:
        fusion: how the image enters; `none` is the blind head.
        components: of the image features that are kept.
        hidden: width of the joint state.
        dropout: of question features and joint state.
        training: how the head is trained.
    """

    fusion: Fusion = "product"
    components: int = 16
    hidden: int = 256
    dropout: float = 0.5
    training: FitSettings = field(default_factory=FitSettings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def fit_answers(questions: Questions, settings: AnswerSettings, *, seed: int = 0) -> AnswerHead:
    """Train an answer head, left in evaluation mode; it knows the answers of these questions and no others.

    Raises:
        ConfigurationError: if there are no questions, or too few images for the components.
    """
    first: dict[str, int] = {}
    for row, answer in enumerate(questions.answers):
        first.setdefault(answer, row)
    vocabulary = sorted(first)
    place = {answer: number for number, answer in enumerate(vocabulary)}
    target = torch.tensor([place[answer] for answer in questions.answers], dtype=torch.int64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = AnswerHead(
            questions.image.shape[1],
            questions.question.shape[1],
            vocabulary,
            questions.answer_features[[first[answer] for answer in vocabulary]],
            fusion=settings.fusion,
            components=settings.components,
            hidden=settings.hidden,
            dropout=settings.dropout,
        )
    head.fit_statistics(_one_per_image(questions), questions.question)

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(questions.image[rows], questions.question[rows]), target[rows])

    fit(head, loss, len(questions), settings.training, seed=seed)
    return head


def majority_answers(train: Questions, questions: Questions) -> list[str]:
    """The most frequent answer of training for every question of its kind: the floor that reads nothing."""
    common = {
        kind: Counter(
            answer for answer, closed in zip(train.answers, train.closed.tolist(), strict=True) if closed == kind
        )
        for kind in (True, False)
    }
    return [common[kind].most_common(1)[0][0] if common[kind] else "" for kind in questions.closed.tolist()]


def held_out_accuracy(
    questions: Questions, settings: AnswerSettings, *, folds: int = 3, seeds: Sequence[int] = (0,)
) -> float:
    """Accuracy on images that were left out of training, per cent, over folds that keep images whole.

    Raises:
        ConfigurationError: if there are fewer images than folds.
    """
    scores = []
    for seed in seeds:
        for kept, held_out in group_folds(questions.images, folds, seed):
            rest = questions.subset(held_out)
            told = fit_answers(questions.subset(kept), settings, seed=seed).predict(rest.image, rest.question)
            scores.append(np.mean([one == other for one, other in zip(told, rest.answers, strict=True)]))
    return float(np.mean(scores) * 100)


def _one_per_image(questions: Questions) -> Tensor:
    """Features `[I, Wi]` of each image once, however many questions it has."""
    first: dict[str, int] = {}
    for row, name in enumerate(questions.images):
        first.setdefault(name, row)
    return questions.image[list(first.values())]
