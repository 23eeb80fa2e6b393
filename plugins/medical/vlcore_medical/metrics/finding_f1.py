"""F1 of the findings that generated reports state, by the label rules: what the words mean, not which they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError, UnknownNameError
from vlcore_medical.reports.findings import CHEXPERT, find, label_names

Uncertain = Literal["positive", "negative"]


@dataclass(frozen=True, slots=True)
class FindingF1:
    """Scores of N reports, in [0, 1].

    Attributes:
        micro: F1 over all labels and reports together.
        macro: mean F1 of the labels that either side states.
        precision: micro.
        recall: micro.
        per_label: F1 of the labels that either side states.
        reports: N.
    """

    micro: float
    macro: float
    precision: float
    recall: float
    per_label: Mapping[str, float]
    reports: int


def finding_f1(
    candidates: Sequence[str],
    references: Sequence[str],
    labels: Sequence[str] = CHEXPERT,
    uncertain: Uncertain = "negative",
) -> FindingF1:
    """Score generated reports by the findings they state.

    A report that is always normal scores 0, as `No Finding` is not among the labels. Both sides are read by the same
    rules, so the score does not show where the rules misread.

    Args:
        candidates: N texts.
        references: N texts.
        labels: that count, of `label_names()`.
        uncertain: what a finding left open counts as; published scores differ in it, so print it beside them.

    Raises:
        EvaluationError: if there is nothing to score or the lengths differ.
        UnknownNameError: if there is no such label.
    """
    for name in labels:
        if name not in label_names():
            raise UnknownNameError("finding label", name, label_names())
    if not candidates or len(candidates) != len(references):
        raise EvaluationError(
            f"Finding F1 needs as many reports as references; got {len(candidates)} and {len(references)}."
        )
    told, meant = (_stated(texts, labels, uncertain) for texts in (candidates, references))
    right, wrong, missed = (told & meant).sum(axis=0), (told & ~meant).sum(axis=0), (~told & meant).sum(axis=0)
    occurring = np.flatnonzero(right + wrong + missed)
    per_label = {labels[place]: f1(right[place], wrong[place], missed[place]) for place in occurring.tolist()}
    all_right, all_wrong, all_missed = int(right.sum()), int(wrong.sum()), int(missed.sum())
    return FindingF1(
        micro=f1(all_right, all_wrong, all_missed),
        macro=sum(per_label.values()) / len(per_label) if per_label else 0.0,
        precision=all_right / (all_right + all_wrong) if all_right else 0.0,
        recall=all_right / (all_right + all_missed) if all_right else 0.0,
        per_label=per_label,
        reports=len(candidates),
    )


def f1(right: int, wrong: int, missed: int) -> float:
    """F1 of counts; 0 where nothing was right."""
    return float(2 * right / (2 * right + wrong + missed)) if right else 0.0


def _stated(texts: Sequence[str], labels: Sequence[str], uncertain: Uncertain) -> NDArray[np.bool_]:
    """Labels `[N, L]` that the texts state."""
    counted = {"positive", "uncertain"} if uncertain == "positive" else {"positive"}
    found = [find(text).status for text in texts]
    return np.array([[status[name] in counted for name in labels] for status in found])
