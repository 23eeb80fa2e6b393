"""F1 of the findings that generated reports state, by the label rules: what the words mean, not which they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import EvaluationError, UnknownNameError
from vlcore.metrics.bootstrap import Floats, bootstrap_interval
from vlcore_medical.reports.assertion import Status
from vlcore_medical.reports.findings import CHEXPERT, find, label_names

Uncertain = Literal["positive", "negative"]

ReadFindings = Callable[[Sequence[str]], Sequence[Mapping[str, Status]]]
"""From N reports to the status of every label in each."""


def by_rules(reports: Sequence[str]) -> list[Mapping[str, Status]]:
    """Findings by this package's own rules, without weights."""
    return [find(text).status for text in reports]


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
        micro_interval_95: of `micro`, drawing reports; None where none was asked for.
    """

    micro: float
    macro: float
    precision: float
    recall: float
    per_label: Mapping[str, float]
    reports: int
    micro_interval_95: tuple[float, float] | None = None


def finding_f1(
    candidates: Sequence[str],
    references: Sequence[str],
    labels: Sequence[str] = CHEXPERT,
    uncertain: Uncertain = "negative",
    read: ReadFindings = by_rules,
    *,
    repeats: int = 0,
    seed: int = 0,
) -> FindingF1:
    """Score generated reports by the findings they state.

    A report that is always normal scores 0, as `No Finding` is not among the labels. Both sides are read by the same
    reader, so the score does not show where it misreads.

    Args:
        candidates: N texts.
        references: N texts.
        labels: that count, of `label_names()`.
        uncertain: what a finding left open counts as; published scores differ in it, so print it beside them.
        read: the rules, or `CheXbert.read`.
        repeats: resamples of the interval; 0 for none.
        seed: of the draws.

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
    told, meant = (_stated(read(texts), labels, uncertain) for texts in (candidates, references))
    hits = told & meant, told & ~meant, ~told & meant
    right, wrong, missed = (one.sum(axis=0) for one in hits)
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
        micro_interval_95=_micro_interval(hits, repeats, seed) if repeats else None,
    )


def _micro_interval(hits: Sequence[NDArray[np.bool_]], repeats: int, seed: int) -> tuple[float, float]:
    """Of the F1 over all labels, drawing reports."""
    right, wrong, missed = (one.sum(axis=1) for one in hits)

    def statistic(weights: Floats) -> Floats:
        twice = 2 * (weights @ right)
        return np.asarray(twice / np.maximum(twice + weights @ wrong + weights @ missed, 1e-12))[:, None]

    low, high = bootstrap_interval(statistic, len(right), repeats=repeats, seed=seed)[0].tolist()
    return low, high


def f1(right: int, wrong: int, missed: int) -> float:
    """F1 of counts; 0 where nothing was right."""
    return float(2 * right / (2 * right + wrong + missed)) if right else 0.0


def _stated(found: Sequence[Mapping[str, Status]], labels: Sequence[str], uncertain: Uncertain) -> NDArray[np.bool_]:
    """Labels `[N, L]` that reports state."""
    counted = {"positive", "uncertain"} if uncertain == "positive" else {"positive"}
    return np.array([[status[name] in counted for name in labels] for status in found])
