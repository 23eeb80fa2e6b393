"""Writing reports: eight studies by heart, and the floors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, TokenBatch
from vlcore_medical.metrics.lexical import lexical_scores
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.report_generation import (
    constant_report,
    encode_memory,
    fit_reports,
    nearest_reports,
)
from vlcore_medical.tasks.report_words import plain_words
from vlcore_medical.tasks.report_writer import Memory, ReportWriter

REPORTS = [
    "No acute cardiopulmonary abnormality.",
    "Normal chest x-ray without evidence of disease.",
    "Cardiomegaly with mild pulmonary edema and small effusions.",
    "Left lower lobe pneumonia, follow up after treatment.",
    "Right pneumothorax after biopsy of the upper lobe.",
    "Hyperexpanded lungs consistent with emphysema.",
    "No change of the calcified granuloma in the left lung.",
    "Low lung volumes with basilar atelectasis on both sides.",
]


def test_eight_studies_are_learned_by_heart_from_their_memory_alone() -> None:
    torch.manual_seed(0)
    memory = Memory(torch.randn(8, 5, 16), torch.ones(8, 5, dtype=torch.bool))
    settings = FitSettings(epochs=80, batch_size=8, learning_rate=3e-3, weight_decay=0.0)
    model = fit_reports(memory, REPORTS, settings, dropout=0.0)
    references = [[" ".join(plain_words(report))] for report in REPORTS]
    for beams in (1, 3):
        assert lexical_scores(model.write(memory, beams), references).bleu[3] > 0.95
    again = ReportWriter.from_config(model.config())
    again.load_state_dict(model.state_dict())
    assert again.eval().write(memory) == model.write(memory)
    # Another study's memory gives that study's report: the words come from the memory, not from their order.
    turned = Memory(memory.features.flip(0), memory.mask)
    assert lexical_scores(model.write(turned), references[::-1]).bleu[3] > 0.95


def test_floors_copy_the_most_frequent_and_the_nearest_report() -> None:
    assert constant_report(["Clear.", "clear .", "Edema."]) == "clear ."
    train, queries = np.array([[1.0, 0.0], [0.0, 5.0]], dtype=np.float32), np.array([[0.1, 0.2]], dtype=np.float32)
    assert nearest_reports(train, ["Clear.", "Edema!"], queries) == ["edema"]


class SmallTower:
    """Gives each word its number as state, or no states at all."""

    source = "small"

    def __init__(self, states: bool) -> None:
        self.states = states

    def tokenizer(self, texts: list[str]) -> TokenBatch:
        lengths = torch.tensor([len(text.split()) for text in texts])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        return TokenBatch(mask * 7, mask, torch.zeros(len(texts), dtype=torch.bool))

    def __call__(self, ids: Any, mask: Any) -> EncoderOutput:
        tokens = torch.ones(*ids.shape, 2) * 3
        return EncoderOutput(tokens if self.states else None, tokens.mean(1))


def test_texts_become_memory_with_nothing_where_there_is_no_word() -> None:
    memory = encode_memory(["a b c", "a"], SmallTower(True), batch_size=1)  # type: ignore[arg-type]
    assert memory.mask.tolist() == [[True, True, True], [True, False, False]]
    assert memory.features[..., 0].tolist() == [[3.0, 3.0, 3.0], [3.0, 0.0, 0.0]]


def test_what_cannot_be_written_is_told() -> None:
    memory = Memory(torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ConfigurationError, match="2 memories do not fit 1 reports"):
        fit_reports(memory, ["clear"])
    with pytest.raises(ConfigurationError, match=r"Report 1 is '\?' and has no words"):
        fit_reports(memory, ["clear", "?"])
    with pytest.raises(ConfigurationError, match="most frequent of: 0 reports"):
        constant_report([])
    with pytest.raises(ConfigurationError, match="no text to write from: 0 texts"):
        encode_memory([], SmallTower(True))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="small gives one vector per text and no states of words"):
        encode_memory(["a"], SmallTower(False))  # type: ignore[arg-type]
