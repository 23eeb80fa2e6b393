"""Greedy and beam search, against every report that a tiny decoder could write."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.report_decoder import ReportDecoder
from vlcore_medical.tasks.report_search import beam_search, greedy
from vlcore_medical.tasks.report_words import END, START

LONGEST = 5


def tiny(seed: int) -> tuple[ReportDecoder, Tensor, Tensor]:
    """A decoder of three words whose choices are far from even."""
    torch.manual_seed(seed)
    decoder = ReportDecoder(4, words=7, longest=LONGEST, width=16, layers=1).eval()
    with torch.no_grad():
        decoder.word.weight *= 4
    return decoder, torch.randn(3, 6, 4), torch.arange(6) < torch.tensor([[6], [2], [4]])


def scores(decoder: ReportDecoder, memory: Tensor, mask: Tensor, row: list[int]) -> list[float]:
    """Log-probability of each word of a row, computed with the decoder alone."""
    with torch.no_grad():
        logits = decoder(memory, mask, torch.tensor([row[:-1]]))[0].double()
    logits[:, [0, START, 3]] = -torch.inf
    return [float(one.log_softmax(0)[number]) for one, number in zip(logits, row[1:], strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_wide_beams_find_the_best_of_all_reports(seed: int) -> None:
    decoder, memory, mask = tiny(seed)
    rows = [
        [START, *body, *end]
        for length in range(LONGEST)
        for body in product([4, 5, 6], repeat=length)
        for end in ([[]] if length == LONGEST - 1 else [[END]])
    ]
    for number, found in enumerate(beam_search(decoder, memory, mask, beams=200)):
        values = [scores(decoder, memory[number, None], mask[number, None], row) for row in rows]
        best = max(range(len(rows)), key=lambda place: sum(values[place]) / len(values[place]))
        assert found == [word for word in rows[best][1:] if word != END]


@pytest.mark.parametrize("seed", range(3))
def test_greedy_takes_the_most_probable_word_each_time_and_is_the_first_beam(seed: int) -> None:
    decoder, memory, mask = tiny(seed)
    found = greedy(decoder, memory, mask)
    for number, row in enumerate(found):
        words = [START]
        while len(words) < LONGEST and words[-1] != END:
            options = [
                (scores(decoder, memory[number, None], mask[number, None], [*words, word])[-1], word)
                for word in (END, 4, 5, 6)
            ]
            words.append(max(options)[1])
        assert row == [word for word in words[1:] if word != END]


def test_hidden_memory_and_later_words_change_nothing() -> None:
    decoder, memory, mask = tiny(0)
    words = torch.tensor([[START, 4, 5, 6]] * 3)
    logits = decoder(memory, mask, words)
    assert torch.allclose(decoder(memory.masked_fill(~mask[..., None], 9.0), mask, words), logits, atol=1e-5)
    assert torch.allclose(decoder(memory, mask, words[:, :2]), logits[:, :2], atol=1e-5)


def test_what_cannot_be_searched_is_told() -> None:
    decoder, memory, mask = tiny(0)
    with pytest.raises(ConfigurationError, match="beams=0: choose at least 1"):
        beam_search(decoder, memory, mask, beams=0)
    with pytest.raises(ConfigurationError, match="6 words are more than this decoder's longest=5"):
        decoder(memory, mask, torch.full((3, 6), 4))
