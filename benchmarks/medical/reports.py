"""Impressions written from findings on the reports of Open-i, beside a constant report and the nearest one.

Reports with equal findings fall on one side: test where the first byte of the SHA-256 of the findings in plain words
is below 26. Only some of each side are used, in the order of the file. Settings were fixed before.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from benchmarks.harness import data_root
from benchmarks.medical.towers import starter_towers

SEEDS = (0, 1, 2)
TRAIN, TEST = 400, 100
EPOCHS = 10
BEAMS = 3


def studies() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Findings and impression of the training and test studies."""
    from vlcore_medical.tasks.report_words import plain_words

    path = data_root() / "medical" / "iu_reports" / "reports.jsonl"
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        findings = " ".join(plain_words(row["findings"]))
        if findings and plain_words(row["impression"]):
            held_out = hashlib.sha256(findings.encode()).digest()[0] < 26
            sides[held_out].append((row["findings"], row["impression"]))
    return sides[0][:TRAIN], sides[1][:TEST]


def impressions(cache: str) -> dict[str, Any]:
    """BLEU, ROUGE-L, CIDEr and finding F1 of greedy and beam search, and of the floors."""
    from vlcore.data.feature_cache import cache_text_features
    from vlcore.encoders import build_text_encoder
    from vlcore_medical.tasks.fit import FitSettings
    from vlcore_medical.tasks.report_generation import constant_report, encode_memory, fit_reports, nearest_reports

    train, test = studies()
    towers = starter_towers(cache)
    pooled = [
        cache_text_features([one[0] for one in side], towers.encode_texts, towers.text_cache).rows
        for side in (train, test)
    ]
    encoder = build_text_encoder("starter/minilm")
    memories = [encode_memory([one[0] for one in side], encoder) for side in (train, test)]
    reports, references = [one[1] for one in train], [one[1] for one in test]
    answer: dict[str, Any] = {
        "studies": {"train": len(train), "test": len(test)},
        "constant": _scores([constant_report(reports)] * len(test), references),
        "nearest": _scores(nearest_reports(pooled[0], reports, pooled[1]), references),
        "greedy": [],
        "beam": [],
    }
    settings = FitSettings(epochs=EPOCHS, batch_size=32, learning_rate=2e-3, weight_decay=0.01)
    for seed in SEEDS:
        model = fit_reports(memories[0], reports, settings, least=2, longest=40, seed=seed)
        answer["greedy"].append(_scores(model.write(memories[1]), references))
        answer["beam"].append(_scores(model.write(memories[1], BEAMS), references))
    return answer


def _scores(told: list[str], references: list[str]) -> dict[str, float]:
    from vlcore_medical.metrics.finding_f1 import finding_f1
    from vlcore_medical.metrics.lexical import lexical_scores
    from vlcore_medical.tasks.report_words import plain_words

    lexical = lexical_scores(told, [[" ".join(plain_words(text))] for text in references])
    return {
        "bleu_1": lexical.bleu[0],
        "bleu_4": lexical.bleu[3],
        "rouge_l": lexical.rouge_l,
        "cider": lexical.cider,
        "finding_f1": finding_f1(told, references).micro,
    }
