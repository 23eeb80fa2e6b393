"""Writing reports over frozen features, and the floors that any such report has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.encoders.base import TextEncoder
from vlcore.errors import ConfigurationError
from vlcore_medical.tasks.fit import FitSettings, fit
from vlcore_medical.tasks.report_words import PAD, frequent_words, plain_words
from vlcore_medical.tasks.report_writer import Memory, ReportWriter

SETTINGS = FitSettings(epochs=10, batch_size=32, learning_rate=1e-3, weight_decay=0.01)


@torch.inference_mode()
def encode_memory(texts: Sequence[str], encoder: TextEncoder, batch_size: int = 64) -> Memory:
    """States of the words of texts, such as findings from which an impression is written.

    Raises:
        ConfigurationError: if the tower gives no states of words, or there are no texts.
    """
    if not texts:
        raise ConfigurationError("There is no text to write from: 0 texts.")
    batch = encoder.tokenizer(list(texts))
    states = []
    for ids, mask in zip(
        *(torch.split(side, batch_size) for side in (batch.input_ids, batch.attention_mask)), strict=True
    ):
        tokens = encoder(ids, mask).tokens
        if tokens is None:
            raise ConfigurationError(f"{encoder.source} gives one vector per text and no states of words.")
        states.append(tokens.float() * mask[..., None])
    return Memory(torch.cat(states), batch.attention_mask.bool())


def fit_reports(
    memory: Memory,
    reports: Sequence[str],
    settings: FitSettings = SETTINGS,
    *,
    least: int = 1,
    longest: int = 60,
    dropout: float = 0.1,
    seed: int = 0,
) -> ReportWriter:
    """Train a decoder to write N reports from their memory, left in evaluation mode.

    Args:
        memory: of N studies.
        reports: N texts.
        settings: how.
        least: how often a word must come to be written.
        longest: the most words, start and end included; longer reports are cut.
        dropout: of the decoder.
        seed: of weights, order and dropout.

    Raises:
        ConfigurationError: if the numbers differ, or a report has no words.
    """
    if len(memory) != len(reports):
        raise ConfigurationError(f"{len(memory)} memories do not fit {len(reports)} reports; give one for each.")
    for number, report in enumerate(reports):
        if not plain_words(report):
            raise ConfigurationError(f"Report {number} is {report!r:.60} and has no words. Leave it out, counted.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        writer = ReportWriter(memory.features.shape[2], frequent_words(reports, least), longest, dropout=dropout)
    numbers, decoder = writer.words.encode(reports, longest), writer.decoder
    real = memory.features[memory.mask]
    decoder.standardise.set_statistics(real.mean(dim=0), real.std(dim=0))

    def loss(rows: Tensor) -> Tensor:
        # Only as much as the longest of the batch: short reports and memories are many.
        length = int((numbers[rows] != PAD).sum(dim=1).max())
        size = int(memory.mask[rows].sum(dim=1).max())
        logits = decoder(memory.features[rows, :size], memory.mask[rows, :size], numbers[rows, : length - 1])
        return nn.functional.cross_entropy(logits.flatten(0, 1), numbers[rows, 1:length].flatten(), ignore_index=PAD)

    fit(writer, loss, len(reports), settings, seed=seed)
    return writer


def constant_report(reports: Sequence[str]) -> str:
    """The most frequent report of training, in plain words: the floor that reads nothing.

    Raises:
        ConfigurationError: if there are no reports.
    """
    if not reports:
        raise ConfigurationError("There is no report to take the most frequent of: 0 reports.")
    return Counter(" ".join(plain_words(report)) for report in reports).most_common(1)[0][0]


def nearest_reports(train: NDArray[np.float32], reports: Sequence[str], queries: NDArray[np.float32]) -> list[str]:
    """For each query the report of the nearest training study by cosine, in plain words: the floor that only copies.

    Args:
        train: `[N, W]` pooled features.
        reports: N texts.
        queries: `[M, W]` pooled features.
    """
    sides = [side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (queries, train)]
    nearest = (sides[0] @ sides[1].T).argmax(axis=1)
    return [" ".join(plain_words(reports[place])) for place in nearest]
