"""Everything that can be said of generated reports: their words, their findings, and what weights add."""

from __future__ import annotations

from collections.abc import Sequence

from vlcore_medical.metrics.chexbert import CheXbert
from vlcore_medical.metrics.finding_f1 import FindingF1, ReadFindings, Uncertain, by_rules, finding_f1
from vlcore_medical.metrics.lexical import lexical_scores
from vlcore_medical.metrics.radeval import radeval_scores
from vlcore_medical.reports.findings import CHEXPERT_5
from vlcore_medical.tasks.report_words import plain_words

Scores = dict[str, float | tuple[float, float]]
"""Values by name; an interval stands beside its value, under its name and `INTERVAL`."""

INTERVAL = "_interval_95"


def report_scores(
    candidates: Sequence[str],
    references: Sequence[str],
    *,
    uncertain: Uncertain = "negative",
    chexbert: CheXbert | None = None,
    radeval: Sequence[str] = (),
    repeats: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score N reports.

    Args:
        candidates: N texts.
        references: N texts.
        uncertain: what a finding left open counts as.
        chexbert: reads findings too, beside the rules.
        radeval: metrics of RadEval.
        repeats: resamples of the intervals of findings; 0 for none.
        seed: of the draws.

    Raises:
        EvaluationError: if there is nothing to score or the numbers differ.
        MissingDependencyError: if RadEval is asked for and not installed.
    """
    words = [" ".join(plain_words(text)) for text in candidates]
    lexical = lexical_scores(words, [[" ".join(plain_words(text))] for text in references])
    scores: Scores = {f"bleu_{order}": value for order, value in enumerate(lexical.bleu, start=1)}
    scores |= {"rouge_l": lexical.rouge_l, "cider": lexical.cider}

    def findings(read: ReadFindings, labels: Sequence[str] | None = None) -> FindingF1:
        chosen = {} if labels is None else {"labels": labels}
        return finding_f1(candidates, references, uncertain=uncertain, read=read, repeats=repeats, seed=seed, **chosen)

    by_reader = {"findings": findings(by_rules)}
    if chexbert is not None:
        by_reader |= {"chexbert": findings(chexbert.read), "chexbert_5": findings(chexbert.read, CHEXPERT_5)}
    for name, found in by_reader.items():
        scores[f"{name}_micro_f1"] = found.micro
        if found.micro_interval_95 is not None:
            scores[f"{name}_micro_f1{INTERVAL}"] = found.micro_interval_95
        scores[f"{name}_macro_f1"] = found.macro
    if chexbert is not None:
        scores["chexbert_cosine"] = chexbert.similarity(candidates, references)
    if radeval:
        scores |= radeval_scores(candidates, references, radeval)
    return scores
