"""The adapter to RadEval, against a stand-in with the interface of 2.2.1: the library brings much, and its weights."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from vlcore.errors import EvaluationError, MissingDependencyError, UnknownNameError
from vlcore_medical.metrics.radeval import radeval_scores


class StandIn:
    """Takes one metric and answers as RadEval does."""

    def __init__(self, metrics: Any = None, **options: Any) -> None:
        assert isinstance(metrics, list)
        if metrics == ["green"]:
            raise OSError("StanfordAIMI/GREEN-radllama2-7b is not in the cache and there is no network")
        self.metrics = metrics

    def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, float]:
        assert isinstance(refs, list) and isinstance(hyps, list) and len(refs) == len(hyps)
        same = sum(one == other for one, other in zip(refs, hyps, strict=True)) / len(refs)
        parts = ("simple", "partial") if self.metrics == ["radgraph"] else ("",)
        return {f"{self.metrics[0]}_{part}".strip("_"): same for part in parts}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    library, registry = ModuleType("radeval"), ModuleType("radeval.metrics._registry")
    library.RadEval = StandIn  # type: ignore[attr-defined]
    registry.METRIC_REGISTRY = dict.fromkeys(("radgraph", "radcliq", "green"))  # type: ignore[attr-defined]
    for name, module in (
        ("radeval", library),
        ("radeval.metrics", ModuleType("radeval.metrics")),
        ("radeval.metrics._registry", registry),
    ):
        monkeypatch.setitem(sys.modules, name, module)


def test_values_come_by_the_librarys_names(installed: None) -> None:
    scores = radeval_scores(("clear", "edema"), ("clear", "effusion"), ["radgraph", "radcliq"])
    assert scores == {"radgraph_simple": 0.5, "radgraph_partial": 0.5, "radcliq": 0.5}


def test_what_cannot_be_scored_is_told(installed: None) -> None:
    with pytest.raises(UnknownNameError, match=r"no metric of RadEval named 'radgraf'\. Did you mean radgraph"):
        radeval_scores(["a"], ["a"], ["radgraf"])
    with pytest.raises(EvaluationError, match=r"The weights of green cannot be had: .* Run it once with a network"):
        radeval_scores(["a"], ["a"], ["green"])
    with pytest.raises(EvaluationError, match="got 1 metrics, 1 reports and 2 references"):
        radeval_scores(["a"], ["a", "b"], ["radgraph"])


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radeval", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vlcore\[radeval\]"'):
        radeval_scores(["a"], ["a"], ["radgraph"])
