"""What the readers of question answering share: one question, one record."""

from __future__ import annotations

from typing import Any

from vlcore.data.reader import Row, RowError
from vlcore.data.record import Text

ANSWER_TYPES = ("CLOSED", "OPEN")


def question(row: Row, lang: str = "en", key: str = "question") -> Text:
    """The question of a row.

    Raises:
        RowError: if it is missing or has no words.
    """
    words = " ".join(row.get(key, str).split())
    if not words:
        raise RowError(f"{key!r} has no words. Write the question or remove the row.")
    return Text(words, lang=lang, kind="question")


def answer(row: Row, key: str = "answer") -> str:
    """The answer of a row as text, spaces tidied and nothing else: sources write numbers as numbers.

    Raises:
        RowError: if it is missing, has no words, or is neither text nor a number.
    """
    value = row.values.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).split():
        raise RowError(f"{key!r} is {value!r:.80}. It must be text or a number.")
    return " ".join(str(value).split())


def answer_type(row: Row) -> str:
    """`CLOSED` or `OPEN`; `CLOSED` is not always yes or no, it may offer a choice.

    Raises:
        RowError: if it is neither.
    """
    value: str = row.get("answer_type", str)
    if (kind := value.strip().upper()) not in ANSWER_TYPES:
        raise RowError(f"'answer_type' is {value!r}. It must be one of {', '.join(ANSWER_TYPES)}.")
    return kind


def identifier(row: Row, key: str) -> str:
    """A number or text that names a row, as text: sources mix `7` and `"7"`.

    Raises:
        RowError: if it is missing or neither.
    """
    value: Any = row.values.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise RowError(f"{key!r} is {value!r:.80}. It must be text or a whole number.")
    return str(value).strip()
