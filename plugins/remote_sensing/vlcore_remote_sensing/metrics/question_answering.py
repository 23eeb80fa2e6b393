"""Accuracies of RSVQA: by type of question, their average, and overall, beside what the types alone give away.

Source: S. Lobry et al., RSVQA: Visual Question Answering for Remote Sensing Data, arXiv 2003.07333, section V.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from vlcore.errors import EvaluationError


def question_accuracies(
    predicted: Sequence[str],
    answers: Sequence[str],
    types: Sequence[str],
    training: Sequence[tuple[str, str]] = (),
) -> dict[str, float]:
    """Score answers to questions; capitals and white space do not count.

    Args:
        predicted: N answers.
        answers: N right ones.
        types: N types of question: presence, comparison, area, count, …
        training: type and answer of training questions, for the floor.

    Returns:
        `accuracy/<type>` of each type, `average_accuracy` (mean over types), `overall_accuracy`; and with training
        questions `floor/average_accuracy` and `floor/overall_accuracy`: always the type's most frequent answer.

    Raises:
        EvaluationError: if there is nothing to score, or the lengths differ.
    """
    if not answers or not len(predicted) == len(answers) == len(types):
        raise EvaluationError(
            f"Accuracies need as many predictions as answers and types; got {len(predicted)}, {len(answers)} and "
            f"{len(types)}."
        )
    scores = _accuracies(predicted, answers, types)
    if not training:
        return scores
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, answer in training:
        seen[kind][_plain(answer)] += 1
    guesses = [seen[kind].most_common(1)[0][0] if seen[kind] else "" for kind in types]
    floor = _accuracies(guesses, answers, types)
    return scores | {f"floor/{name}": floor[name] for name in ("average_accuracy", "overall_accuracy")}


def _accuracies(predicted: Sequence[str], answers: Sequence[str], types: Sequence[str]) -> dict[str, float]:
    right: dict[str, list[bool]] = defaultdict(list)
    for guess, answer, kind in zip(predicted, answers, types, strict=True):
        right[kind].append(_plain(guess) == _plain(answer))
    by_type = {f"accuracy/{kind}": sum(hits) / len(hits) for kind, hits in sorted(right.items())}
    overall = sum(sum(hits) for hits in right.values()) / len(answers)
    return {
        **by_type,
        "average_accuracy": sum(by_type.values()) / len(by_type),
        "overall_accuracy": overall,
    }


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
