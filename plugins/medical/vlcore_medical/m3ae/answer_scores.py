"""How many questions are answered right, and how many are without a look at the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vlcore.data.record import Record
from vlcore.errors import MissingDependencyError
from vlcore_medical.m3ae.answers import answer_of
from vlcore_medical.metrics.answers import AnswerScores, answer_scores

KIND = "answer_type"
"""Label that says CLOSED or OPEN."""


def record_scores(predicted: Sequence[str], records: Sequence[Record]) -> AnswerScores:
    """Compare answers with those of records; a question whose kind is not said counts as open.

    Raises:
        EvaluationError: if there are no questions, or not as many answers.
    """
    return answer_scores(
        predicted,
        [answer_of(record) for record in records],
        [str(record.labels.get(KIND, "")).upper() == "CLOSED" for record in records],
        [record.group or record.id for record in records],
    )


def majority_floor(train: Sequence[Record], test: Sequence[Record]) -> AnswerScores:
    """Scores of the most frequent training answer; of equally frequent ones the first in the alphabet."""
    counts = Counter(map(answer_of, train))
    most = min(counts, key=lambda answer: (-counts[answer], answer))
    return record_scores([most] * len(test), test)


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
    return record_scores([str(one) for one in guess.predict([record.texts[0].text for record in test])], test)
