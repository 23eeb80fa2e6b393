"""The form in which every reader gives a question about an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlcore.data.reader import RowError
from vlcore.data.record import ImageRef, Record, Text


def question_and_answer(
    identifier: str,
    image: ImageRef,
    question: str,
    answer: Any,
    group: str,
    split: str | None,
    labels: Mapping[str, Any],
) -> Record:
    """A record of one question: a text of kind `question`, then one of kind `answer`, which is the label `answer` too.

    Args:
        identifier: of the record.
        image: that is asked about.
        question: in English.
        answer: in English, not yet checked.
        group: of the image, so that a split keeps its questions together.
        split: or None.
        labels: besides the answer.

    Raises:
        RowError: if question or answer is blank.
    """
    texts = []
    for kind, words in (("question", question), ("answer", answer)):
        if not isinstance(words, str) or not words.strip():
            raise RowError(f"the {kind} is {words!r:.80}. It must be words.")
        texts.append(Text(" ".join(words.split()), lang="en", kind=kind))
    return Record(
        id=identifier,
        image=image,
        texts=tuple(texts),
        group=group,
        split=split,
        labels={"answer": texts[1].text, **labels},
    )
