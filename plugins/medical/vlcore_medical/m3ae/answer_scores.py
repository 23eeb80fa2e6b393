"""How many questions are answered right, and how many are without a look at the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vlcore.data.record import Record
from vlcore.errors import EvaluationError, MissingDependencyError
from vlcore_medical.m3ae.answers import answer_of

KIND = "answer_type"
"""Label that says CLOSED or OPEN."""


@dataclass(frozen=True)
class AnswerScores:
    """Exact matches of normalised answers, per cent.

    Attributes:
        overall: of all questions.
        closed: of those whose kind is CLOSED, yes or no and the like; None where there is none.
        open: of those whose kind is OPEN; None where there is none.
        questions: how many.
    """

    overall: float
    closed: float | None
    open: float | None
    questions: int


def answer_scores(predicted: Sequence[str], records: Sequence[Record]) -> AnswerScores:
    """Compare answers, normalised ones, with those of records.

    Raises:
        EvaluationError: if there are no questions, or not as many answers.
    """
    if not records or len(predicted) != len(records):
        raise EvaluationError(f"There are {len(predicted)} answers to {len(records)} questions; each needs one.")
    right = [answer == answer_of(record) for answer, record in zip(predicted, records, strict=True)]
    kinds = [str(record.labels.get(KIND, "")).upper() for record in records]
    return AnswerScores(
        overall=100 * sum(right) / len(right),
        closed=_share(right, kinds, "CLOSED"),
        open=_share(right, kinds, "OPEN"),
        questions=len(right),
    )


def majority_floor(train: Sequence[Record], test: Sequence[Record]) -> AnswerScores:
    """Scores of the most frequent training answer; of equally frequent ones the first in the alphabet."""
    counts = Counter(map(answer_of, train))
    most = min(counts, key=lambda answer: (-counts[answer], answer))
    return answer_scores([most] * len(test), test)


def question_floor(train: Sequence[Record], test: Sequence[Record]) -> AnswerScores:
    """Scores of a classifier that sees the words of the question alone: logistic regression on TF-IDF.

    Raises:
        MissingDependencyError: if scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as error:
        raise MissingDependencyError("sklearn", "medical", "The floor of questions alone") from error
    # Single words: pairs of them are no better on VQA-RAD. The weight of the penalty was not tuned.
    guess = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10.0, max_iter=200))
    guess.fit([record.texts[0].text for record in train], [answer_of(record) for record in train])
    return answer_scores([str(one) for one in guess.predict([record.texts[0].text for record in test])], test)


def _share(right: Sequence[bool], kinds: Sequence[str], kind: str) -> float | None:
    chosen = [hit for hit, found in zip(right, kinds, strict=True) if found == kind]
    return 100 * sum(chosen) / len(chosen) if chosen else None
