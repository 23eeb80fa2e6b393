"""The label rules on the half of Open-i that they were made on; `benchmarks/finding_labels.py` scores the other."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from vlcore_medical.metrics.finding_f1 import f1
from vlcore_medical.reports.findings import NO_FINDING, find, label_names, mesh_labels


def test_the_labels_agree_with_the_human_mesh_majors(data_root: Path) -> None:
    lines = (data_root / "medical" / "iu_reports" / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if hashlib.sha256(row["id"].encode()).digest()[0] % 2 == 0]
    rows = [row for row in rows if row["mesh"] and "No Indexing" not in row["mesh"]]
    assert len(rows) == 1959
    counts = {name: [0, 0, 0] for name in label_names() if name != NO_FINDING}
    for row in rows:
        told = find(f"{row['findings']}\n\n{row['impression']}").positive()
        human = mesh_labels(row["mesh"])
        for name, count in counts.items():
            count[0] += name in told and name in human
            count[1] += name in told and name not in human
            count[2] += name not in told and name in human
    scores = {name: f1(*count) for name, count in counts.items()}
    assert f1(*map(sum, zip(*counts.values(), strict=True))) > 0.95
    assert sum(scores.values()) / len(scores) > 0.92
    assert min(scores, key=scores.__getitem__) == "Enlarged Cardiomediastinum"
