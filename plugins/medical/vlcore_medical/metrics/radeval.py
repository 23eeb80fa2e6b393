"""Scores of generated reports that need weights of their own, through the library RadEval.

CheXbert, RadGraph, RadCliQ, RaTEScore, GREEN and more. RadEval loads their weights from the Hugging Face cache; fill it
once with a network, and set HF_HUB_OFFLINE=1 after that.

Source: J. Xu et al., RadEval, EMNLP 2025 (demonstrations).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from vlcore.errors import EvaluationError, MissingDependencyError, UnknownNameError


def radeval_scores(candidates: Sequence[str], references: Sequence[str], metrics: Sequence[str]) -> dict[str, float]:
    """Score generated reports.

    Args:
        candidates: N texts.
        references: N texts.
        metrics: names of RadEval, such as `radgraph`, `radcliq`, `ratescore`, `green`, `f1chexbert`.

    Returns:
        Values by RadEval's own names; several for some metrics.

    Raises:
        MissingDependencyError: if RadEval is not installed.
        UnknownNameError: if it has no such metric.
        EvaluationError: if there is nothing to score, the numbers differ, or a metric's weights cannot be had.
    """
    if not metrics or not candidates or len(candidates) != len(references):
        raise EvaluationError(
            f"RadEval needs metrics, and as many reports as references; got {len(metrics)} metrics, {len(candidates)} "
            f"reports and {len(references)} references."
        )
    try:
        from radeval import RadEval
        from radeval.metrics._registry import METRIC_REGISTRY
    except ImportError as error:
        raise MissingDependencyError(error.name or "radeval", "radeval", "A score of RadEval") from error
    scores: dict[str, float] = {}
    for name in metrics:
        if name not in METRIC_REGISTRY:
            raise UnknownNameError("metric of RadEval", name, METRIC_REGISTRY)
        # It silences every warning of the process.
        with warnings.catch_warnings():
            try:
                told = RadEval(metrics=[name])(refs=list(references), hyps=list(candidates))
            except OSError as error:
                raise EvaluationError(
                    f"The weights of {name} cannot be had: {error}. Run it once with a network, or copy the Hugging "
                    f"Face cache here."
                ) from error
        scores |= {key: float(value) for key, value in told.items()}
    return scores
