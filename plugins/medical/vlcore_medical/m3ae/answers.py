"""Answers to questions as classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vlcore.data.record import Record
from vlcore.errors import ConfigurationError
from vlcore_medical.metrics.answers import normalise_answer

UNKNOWN = -1
"""Class of an answer that is not in the vocabulary: it can never be right."""


def answer_of(record: Record, label: str = "answer") -> str:
    """The normalised answer of a record.

    Raises:
        ConfigurationError: if it has none.
    """
    value = record.labels.get(label)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"The record {record.id!r} has the label {label}={value!r}; an answer is a text. Name the label that holds "
            f"it, or remove the record."
        )
    return normalise_answer(value)


def answer_vocabulary(records: Iterable[Record], label: str = "answer", at_least: int = 1) -> tuple[str, ...]:
    """Distinct normalised answers in the order in which they first come.

    Args:
        records: of the training split. The released code takes those of validation and test too, so that no answer of
            the test is unknown to the model.
        label: that holds the answer.
        at_least: occurrences of an answer.

    Raises:
        ConfigurationError: if a record has no answer, or fewer than two answers are left.
    """
    counts = Counter(answer_of(record, label) for record in records)
    found = tuple(answer for answer, count in counts.items() if count >= at_least)
    if len(found) < 2:
        raise ConfigurationError(
            f"{len(found)} answers come {at_least} times or more among {counts.total()} records: there is nothing to "
            f"choose between. Give more records, or lower at_least."
        )
    return found


def answer_classes(records: Iterable[Record], vocabulary: Sequence[str], label: str = "answer") -> list[int]:
    """Class of each record's answer; -1 where the vocabulary does not have it."""
    places = {answer: place for place, answer in enumerate(vocabulary)}
    return [places.get(answer_of(record, label), UNKNOWN) for record in records]
