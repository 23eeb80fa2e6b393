"""Finding F1, and that it sees what BLEU does not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vlcore.errors import EvaluationError, UnknownNameError
from vlcore_medical.metrics.finding_f1 import finding_f1
from vlcore_medical.metrics.lexical import lexical_scores


def test_counts_by_hand() -> None:
    references = ["Cardiomegaly and edema.", "Small effusion.", "Clear lungs."]
    candidates = ["Cardiomegaly.", "No effusion. Atelectasis.", "Edema."]
    scores = finding_f1(candidates, references)
    # Right: cardiomegaly. Wrong: atelectasis, edema. Missed: edema, effusion.
    assert (scores.precision, scores.recall, scores.micro) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert scores.per_label == {"Cardiomegaly": 1, "Edema": 0, "Atelectasis": 0, "Pleural Effusion": 0}
    assert (scores.macro, scores.reports) == (0.25, 3)


def test_what_is_left_open_counts_as_asked() -> None:
    assert finding_f1(["Possible edema."], ["Edema."]).micro == 0
    assert finding_f1(["Possible edema."], ["Edema."], uncertain="positive").micro == 1


def test_only_the_labels_asked_for_count() -> None:
    assert finding_f1(["Edema. Scoliosis."], ["Edema."]).micro == 1
    assert finding_f1(["Edema. Scoliosis."], ["Edema."], labels=["Edema", "Scoliosis"]).micro == pytest.approx(2 / 3)


def test_what_cannot_be_scored_is_told() -> None:
    with pytest.raises(EvaluationError, match="got 1 and 2"):
        finding_f1(["a"], ["a", "b"])
    with pytest.raises(EvaluationError, match="got 0 and 0"):
        finding_f1([], [])
    with pytest.raises(UnknownNameError, match=r"no finding label named 'Odema'\. Did you mean Edema"):
        finding_f1(["a"], ["a"], labels=["Odema"])


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_bleu_takes_opposite_reports_for_good_ones_and_finding_f1_does_not(data_root: Path) -> None:
    lines = (data_root / "medical" / "iu_reports" / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    references = [row["findings"] for row in map(json.loads, lines) if row["findings"].strip()][:500]
    flipped = [re.sub(r"\bno\b", "there is", text, flags=re.IGNORECASE) for text in references]
    assert lexical_scores(list(map(words, flipped)), [[words(text)] for text in references]).bleu[3] > 0.84
    for uncertain in ("positive", "negative"):
        assert finding_f1(flipped, references, uncertain=uncertain).micro <= 0.35
    normal = ["The heart is normal in size. The lungs are clear. There is no pleural effusion or pneumothorax."]
    assert lexical_scores([words(normal[0])] * 500, [[words(text)] for text in references]).rouge_l > 0.25
    assert finding_f1(normal * 500, references).micro == 0
    assert finding_f1(references, references).micro == 1
