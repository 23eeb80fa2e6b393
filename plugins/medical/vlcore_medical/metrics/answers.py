"""Accuracy of answers to medical questions: closed, open and overall, by exact match after normalisation."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlcore.errors import EvaluationError
from vlcore.metrics.bootstrap import Floats, bootstrap_interval, unit_index

KINDS = ("closed", "open", "overall")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS = {**{word: str(number) for number, word in enumerate(_NUMBERS)}, "none": "0", "a": "", "an": "", "the": ""}


@dataclass(frozen=True)
class AnswerScores:
    """Scores of N answers, per cent; None where there are no such questions.

    Attributes:
        accuracy: of `closed`, `open` and `overall`.
        interval_95: of each, drawing images.
        questions: of each.
    """

    accuracy: dict[str, float | None]
    interval_95: dict[str, list[float] | None]
    questions: dict[str, int]


def normalise_answer(answer: str) -> str:
    """An answer without case, punctuation, articles, and with digits for numbers up to ten.

    These are the rules of VQA v2 (arXiv 1612.00837) but for contractions; an answer that is nothing but punctuation or
    an article stays what it is.
    """
    plain = " ".join(answer.lower().split())
    # A point or comma between digits belongs to the number, a dash between letters parts words.
    text = re.sub(r"(?<!\d)[.,]|[.,](?!\d)", "", plain)
    text = re.sub(f"[{re.escape(string.punctuation.replace('.', '').replace(',', ''))}]", " ", text)
    words = (_WORDS.get(word, word) for word in text.split())
    return " ".join(word for word in words if word) or plain


def answer_scores(
    predicted: Sequence[str],
    answers: Sequence[str],
    closed: ArrayLike,
    images: ArrayLike,
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> AnswerScores:
    """Score predicted answers.

    Args:
        predicted: N answers.
        answers: N right ones.
        closed: `[N]` bool, True where the question is closed.
        images: `[N]` any keys; the questions about an image are drawn together.
        repeats: resamples.
        seed: of the draws.

    Raises:
        EvaluationError: if there is nothing to score or the lengths differ.
    """
    hit = np.array(
        [normalise_answer(told) == normalise_answer(meant) for told, meant in zip(predicted, answers, strict=False)]
    )
    is_closed, unit = np.asarray(closed, dtype=bool), unit_index(images)
    lengths = {len(predicted), len(answers), len(is_closed), len(unit)}
    if lengths != {len(hit)} or not len(hit):
        raise EvaluationError(
            f"Answers are scored in equal numbers, at least one; got {len(predicted)} predicted, {len(answers)} "
            f"right ones, {len(is_closed)} kinds and {len(unit)} images."
        )
    chosen = np.stack([is_closed, ~is_closed, np.ones_like(is_closed)], axis=1)  # [N, 3]
    units = int(unit.max()) + 1
    right, asked = (_by_unit(chosen & mask[:, None], unit, units) for mask in (hit, np.ones_like(hit)))

    def statistic(weights: Floats) -> Floats:
        # A draw may hold no question of a rare kind; it counts as nothing right.
        return np.asarray((weights @ right) / np.maximum(weights @ asked, 1.0) * 100)

    values = statistic(np.ones((1, units)))[0].tolist()
    ends = bootstrap_interval(statistic, units, repeats=repeats, seed=seed).tolist()
    counts = dict(zip(KINDS, chosen.sum(axis=0).tolist(), strict=True))
    return AnswerScores(
        {kind: value if counts[kind] else None for kind, value in zip(KINDS, values, strict=True)},
        {kind: end if counts[kind] else None for kind, end in zip(KINDS, ends, strict=True)},
        counts,
    )


def _by_unit(chosen: NDArray[np.bool_], unit: NDArray[np.int64], units: int) -> Floats:
    return np.stack([np.bincount(unit, weights=column, minlength=units) for column in chosen.T], axis=1)
