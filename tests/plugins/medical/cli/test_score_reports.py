"""`vlcore medical score-reports`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore.cli.main import main

REFERENCES = ["No acute disease.", "No acute disease.", "Cardiomegaly.", "Small left effusion and edema."]
GENERATED = ["No acute disease.", "Edema.", "Cardiomegaly.", ""]


def write(path: Path) -> Path:
    rows = zip(GENERATED, REFERENCES, strict=True)
    lines = [
        json.dumps({"id": number, "generated": told, "reference": meant}) for number, (told, meant) in enumerate(rows)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_scores_stand_beside_the_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports, scores = write(tmp_path / "generated.jsonl"), tmp_path / "scores.json"
    assert main(["medical", "score-reports", str(reports), "-o", str(scores), "--bootstrap", "100"]) == 0
    printed = capsys.readouterr().out
    assert "4 reports, 1 of them empty" in printed and "floor" in printed and "count as negative" in printed
    told = json.loads(scores.read_text())
    # Right: cardiomegaly. Wrong: edema of the second. Missed: effusion and edema of the last.
    assert told["scores"]["findings_micro_f1"] == pytest.approx(0.4)
    low, high = told["scores"]["findings_micro_f1_interval_95"]
    assert 0 <= low <= 0.4 <= high <= 1
    assert told["floor"]["findings_micro_f1"] == 0 and told["floor"]["bleu_1"] > 0.3
    assert told["protocol"] == {"reports": 4, "empty": 1, "uncertain_counts_as": "negative", "bootstrap": 100}


def test_csv_gives_the_same_as_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = write(tmp_path / "generated.jsonl")
    table = tmp_path / "generated.csv"
    rows = zip(GENERATED, REFERENCES, strict=True)
    lines = [f'{number},"{told}","{meant}"' for number, (told, meant) in enumerate(rows)]
    table.write_text("\n".join(["id,generated,reference", *lines]), encoding="utf-8")
    scores = []
    for path in (reports, table):
        assert main(["medical", "score-reports", str(path), "--format", "json", "--bootstrap", "50"]) == 0
        scores.append(json.loads(capsys.readouterr().out)["scores"])
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1, "generated": "a", "reference": " "}', "line 1: 'reference' has no words"),
        ('{"id": 1, "reference": "a"}', "line 1: 'generated' is missing"),
        ('{"id": 1, "generated": "a", "reference": "b"}\n' * 2, "line 2: the id '1' is also on line 1"),
    ],
)
def test_bad_rows_are_listed(tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "generated.jsonl"
    path.write_text(text, encoding="utf-8")
    assert main(["medical", "score-reports", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert main(["medical", "score-reports", str(path), "--chexbert", "chexbert.pth"]) == 2
    assert "both its weights, --chexbert, and the folder of its BERT, --bert" in capsys.readouterr().err
