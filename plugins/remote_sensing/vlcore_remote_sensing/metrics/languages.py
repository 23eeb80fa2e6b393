"""How much of its score in English a model keeps in other languages."""

from __future__ import annotations

from collections.abc import Mapping

from vlcore.errors import EvaluationError


def language_retention(scores: Mapping[str, float], reference: str = "en") -> dict[str, float]:
    """Compare scores of several languages with one.

    Args:
        scores: mean recall, or another score above 0, by BCP-47 tag.
        reference: the language that the others are compared with.

    Returns:
        `retention` (mean of the other languages over the reference), `least` (of any), and `retention/<tag>` of each.

    Raises:
        EvaluationError: if the reference or any other language is missing, or the reference scores 0.
    """
    others = {tag: score for tag, score in scores.items() if tag != reference}
    if not others or scores.get(reference, 0.0) <= 0:
        raise EvaluationError(
            f"Retention needs a score above 0 in {reference!r} and one in another language; got {dict(scores)}."
        )
    kept = {tag: score / scores[reference] for tag, score in sorted(others.items())}
    return {
        "retention": sum(kept.values()) / len(kept),
        "least": min(kept.values()),
        **{f"retention/{tag}": value for tag, value in kept.items()},
    }
