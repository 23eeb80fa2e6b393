"""`vlcore medical score-reports`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from vlcore.cli.console import Format


def score_reports(
    reports: Path,
    output: Path | None = None,
    uncertain: Literal["negative", "positive"] = "negative",
    chexbert: Path | None = None,
    bert: Path | None = None,
    radeval: list[str] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    format: Format = "table",
) -> None:
    """Score generated reports by their words and by the findings that they state, beside a floor.

    The floor gives every study the most frequent reference of the file: it has seen the answers and no image, so that a
    model below it has learned nothing of use. Scores of words reward reports that sound right; look at the findings.

    Examples:
        vlcore medical score-reports generated.csv
        vlcore medical score-reports generated.jsonl --chexbert chexbert.pth --bert bert-base-uncased/
        vlcore medical score-reports generated.jsonl --radeval radgraph radcliq -o scores.json

    Args:
        reports: CSV or JSON Lines with id, generated and reference.
        output: JSON file to write besides.
        uncertain: what a finding left open counts as; published scores differ in it.
        chexbert: weights of CheXbert, chexbert.pth; reads findings beside the rules.
        bert: folder with config and tokeniser of bert-base-uncased, for CheXbert.
        radeval: metrics of RadEval (extra radeval), such as radgraph, radcliq, ratescore, green.
        bootstrap: resamples of the 95 % intervals.
        seed: of the draws.
        format: table to read, or json for programs.
    """
    import json

    from vlcore.cli.console import print_json
    from vlcore.errors import ConfigurationError
    from vlcore.files import write_text
    from vlcore_medical.cli.score_table import print_report_scores
    from vlcore_medical.metrics.chexbert import CheXbert
    from vlcore_medical.metrics.report_scores import report_scores
    from vlcore_medical.reports.generated import read_generated
    from vlcore_medical.tasks.report_generation import constant_report

    if (chexbert is None) != (bert is None):
        raise ConfigurationError("CheXbert needs both its weights, --chexbert, and the folder of its BERT, --bert.")
    rows = read_generated(reports)
    references = [row.reference for row in rows]
    labeller = None if chexbert is None or bert is None else CheXbert.load(chexbert, bert)
    told = {"generated": [row.generated for row in rows], "floor": [constant_report(references)] * len(rows)}
    scores = {
        name: report_scores(
            texts,
            references,
            uncertain=uncertain,
            chexbert=labeller,
            radeval=radeval or (),
            repeats=bootstrap,
            seed=seed,
        )
        for name, texts in told.items()
    }
    empty = sum(not row.generated.strip() for row in rows)
    protocol = {"reports": len(rows), "empty": empty, "uncertain_counts_as": uncertain, "bootstrap": bootstrap}
    result = {"file": str(reports), "protocol": protocol, "scores": scores["generated"], "floor": scores["floor"]}
    if output is not None:
        write_text(output, json.dumps(result, indent=2) + "\n")
    if format == "json":
        print_json(result)
        return
    print_report_scores(scores, f"{len(rows):,} reports, {empty:,} of them empty")
    print(f"Uncertain findings count as {uncertain}; the floor is the most frequent reference for every study.")
