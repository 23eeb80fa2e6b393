"""Finding labels by rules against the human MeSH majors of Open-i, and scores of opposite and of constant reports.

The vocabulary and its mapping from MeSH majors were made on one half of the reports; the other half is scored. A
report belongs to the tuning half if the first byte of the SHA-256 of its id is even. Reports that nobody indexed
(`No Indexing`, or no major at all) are left out and counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import data_root, run_case, save, timed

TWELVE = (
    "Cardiomegaly",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Fracture",
    "Emphysema",
    "Granuloma",
    "Hernia",
)
"""The findings that the target is set over; the rest of the labels are scored beside them."""
NORMAL = "The heart is normal in size. The lungs are clear. There is no pleural effusion or pneumothorax."
REPEATS = 1000

Stated = NDArray[np.bool_]


def reports(held_out: bool) -> list[dict[str, Any]]:
    """The reports of one half."""
    path = data_root() / "medical" / "iu_reports" / "reports.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if hashlib.sha256(row["id"].encode()).digest()[0] % 2 == held_out]


def labels(held_out: bool) -> dict[str, Any]:
    """Micro and macro F1 with 95 % intervals over reports, and F1 of every label; keyword matching as the floor."""
    from vlcore_medical.reports.findings import find, label_names, mesh_labels
    from vlcore_medical.reports.vocabulary import vocabulary

    half = reports(held_out)
    rows = [row for row in half if row["mesh"] and "No Indexing" not in row["mesh"]]
    texts = [f"{row['findings']}\n\n{row['impression']}" for row in rows]
    names = label_names()[1:]
    found, seconds = timed(lambda: [find(text) for text in texts])
    keywords = [{label.name for label in vocabulary().labels if label.mentions.search(text)} for text in texts]
    human = _table([mesh_labels(row["mesh"]) for row in rows], names)
    answer: dict[str, Any] = {
        "vocabulary": vocabulary().version,
        "reports": len(rows),
        "not_indexed": len(half) - len(rows),
        "seconds": seconds,
        "mentions": len([m for report in found for m in report.mentions]),
        "negative_mentions": len([m for report in found for m in report.mentions if m.status == "negative"]),
    }
    sides = {"rules": _table([report.positive() for report in found], names), "keywords": _table(keywords, names)}
    for group, columns in (("twelve", [names.index(name) for name in TWELVE]), ("all", list(range(len(names))))):
        answer[group] = {side: _scores(told[:, columns], human[:, columns]) for side, told in sides.items()}
    per_label = _f1(*(counts.sum(axis=0) for counts in _counts(sides["rules"], human)))
    answer["per_label"] = {
        name: {"f1": value, "reports": int(count)}
        for name, value, count in zip(names, per_label.tolist(), human.sum(axis=0), strict=True)
    }
    return answer


def opposite_reports(held_out: bool) -> dict[str, Any]:
    """Scores of references whose every "no" became "there is", and of one normal sentence for all."""
    from vlcore_medical.metrics.finding_f1 import finding_f1
    from vlcore_medical.metrics.lexical import lexical_scores

    references = [row["findings"] for row in reports(held_out) if row["findings"].strip()]
    sides = {
        "opposite": [re.sub(r"\bno\b", "there is", text, flags=re.IGNORECASE) for text in references],
        "constant": [NORMAL] * len(references),
    }
    answer: dict[str, Any] = {"reports": len(references)}
    for name, texts in sides.items():
        lexical = lexical_scores([_words(text) for text in texts], [[_words(text)] for text in references])
        finding = finding_f1(texts, references)
        answer[name] = {
            "bleu": lexical.bleu,
            "rouge_l": lexical.rouge_l,
            "cider": lexical.cider,
            "finding_f1": finding.micro,
            "finding_precision": finding.precision,
        }
    return answer


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _table(stated: Sequence[set[str]], names: Sequence[str]) -> Stated:
    return np.array([[name in one for name in names] for one in stated])


def _counts(told: Stated, human: Stated) -> tuple[Stated, Stated, Stated]:
    return told & human, told & ~human, ~told & human


def _f1(right: NDArray[Any], wrong: NDArray[Any], missed: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(2 * right / np.maximum(2 * right + wrong + missed, 1e-12))


def _scores(told: Stated, human: Stated) -> dict[str, Any]:
    from vlcore.metrics.bootstrap import Floats, bootstrap_interval

    tables = [table.astype(np.float64) for table in _counts(told, human)]

    def statistic(weights: Floats) -> Floats:
        right, wrong, missed = (weights @ table for table in tables)  # [R, L]
        micro = _f1(*(counts.sum(axis=1) for counts in (right, wrong, missed)))
        return np.stack([micro, _f1(right, wrong, missed).mean(axis=1)], axis=1)

    values = statistic(np.ones((1, len(told))))[0].tolist()
    ends = bootstrap_interval(statistic, len(told), repeats=REPEATS).tolist()
    return {name: {"f1": values[place], "interval_95": ends[place]} for place, name in enumerate(("micro", "macro"))}


def main() -> None:
    """Both halves: how far the tuning half flatters is part of the answer."""
    result: dict[str, Any] = {}
    for half, held_out in (("tuning", False), ("held_out", True)):
        result[half] = run_case("benchmarks.finding_labels:labels", held_out=held_out)
        for group in ("twelve", "all"):
            for side, scores in result[half][group].items():
                text = ", ".join(
                    f"{name} {score['f1']:.3f} ({score['interval_95'][0]:.3f} to {score['interval_95'][1]:.3f})"
                    for name, score in scores.items()
                )
                print(f"  {half}, {group}, {side}: {text}")
    result["generated"] = run_case("benchmarks.finding_labels:opposite_reports", held_out=True)
    for name in ("opposite", "constant"):
        scores = result["generated"][name]
        print(f"  {name}: BLEU-4 {scores['bleu'][3]:.3f}, finding F1 {scores['finding_f1']:.3f}")
    save("finding_labels", result)
