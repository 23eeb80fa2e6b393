"""Scores of reports as a table: a row per measure, a column per system, intervals beside their values."""

from __future__ import annotations

from collections.abc import Mapping

from vlcore.cli.console import print_table
from vlcore_medical.metrics.report_scores import INTERVAL, Scores


def print_report_scores(systems: Mapping[str, Scores], title: str) -> None:
    """Print scores of one or more systems with the same measures."""
    measures = [name for name in next(iter(systems.values())) if not name.endswith(INTERVAL)]
    rows = [(name, *(_cell(scores, name) for scores in systems.values())) for name in measures]
    print_table(("measure", *systems), rows, title)


def _cell(scores: Scores, name: str) -> str:
    value, ends = scores[name], scores.get(name + INTERVAL)
    return f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})" if isinstance(ends, tuple) else f"{value:.3f}"
