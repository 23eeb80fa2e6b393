"""Hidden words: which ones, how many, and what stands in their place."""

from __future__ import annotations

import pytest
import torch

from vlcore.objectives.text_masking import IGNORED, SpanMasking, TokenMasking, WholeWordMasking

VOCABULARY, MASK, SPECIAL = 40, 4, (0, 1, 2, 3, 4)
PAD, START, END = 0, 2, 3
# Odd ids go on with the word before them.
BEGINS = tuple(number % 2 == 0 for number in range(VOCABULARY))
STRATEGIES = {
    "token": lambda **options: TokenMasking(VOCABULARY, MASK, SPECIAL, **options),
    "whole_word": lambda **options: WholeWordMasking(VOCABULARY, MASK, SPECIAL, BEGINS, **options),
    "span": lambda: SpanMasking(VOCABULARY, MASK, SPECIAL),
}


def texts(rows: int = 400, longest: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Random texts `[START, words, END, padding]`, the first ones of one word and of none."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((rows, longest), PAD)
    mask = torch.zeros(rows, longest, dtype=torch.long)
    for row in range(rows):
        words = (0, 1)[row] if row < 2 else int(torch.randint(1, longest - 1, (), generator=generator))
        ids[row, 0], ids[row, words + 1] = START, END
        ids[row, 1 : words + 1] = torch.randint(5, VOCABULARY, (words,), generator=generator)
        mask[row, : words + 2] = 1
    return ids, mask


@pytest.mark.parametrize("name", STRATEGIES)
def test_only_real_words_are_hidden_and_at_least_one_of_every_text_that_has_any(name):
    torch.manual_seed(0)
    ids, mask = texts()
    masked = STRATEGIES[name]()(ids, mask)
    hidden = masked.labels != IGNORED
    real = mask.bool() & (ids > 4)
    assert not (hidden & ~real).any()
    assert torch.equal(hidden.any(1), real.any(1)) and not hidden[0].any() and hidden[1].sum() == 1
    assert torch.equal(masked.labels[hidden], ids[hidden])
    assert torch.equal(masked.input_ids[~hidden], ids[~hidden])


@pytest.mark.parametrize("name", STRATEGIES)
def test_eight_of_ten_become_the_mask_one_a_random_word_and_one_stays(name):
    torch.manual_seed(1)
    ids, mask = texts(4000)
    masked = STRATEGIES[name]()(ids, mask)
    hidden = masked.labels != IGNORED
    shown = masked.input_ids[hidden]
    same = (shown == ids[hidden]).float().mean()
    masks = (shown == MASK).float().mean()
    assert masks == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1 + 0.1 / 35, abs=0.02)
    assert not torch.isin(shown[shown != MASK], torch.tensor(SPECIAL)).any()


def test_the_share_counts_real_words_and_not_padding():
    torch.manual_seed(2)
    ids = torch.full((500, 60), PAD)
    mask = torch.zeros_like(ids)
    ids[:, :42], mask[:, :42] = 7, 1
    ids[:, 0], ids[:, 41] = START, END
    hidden = STRATEGIES["token"](share=0.15)(ids, mask).labels != IGNORED
    assert hidden.sum() / (500 * 40) == pytest.approx(0.15, abs=0.01)


def test_pieces_of_a_word_are_hidden_together():
    torch.manual_seed(3)
    ids, mask = texts()
    hidden = STRATEGIES["whole_word"](share=0.3)(ids, mask).labels != IGNORED
    several = 0
    for row, flags in zip(ids.tolist(), hidden.tolist(), strict=True):
        words: list[list[bool]] = []
        for number, flag in zip(row, flags, strict=True):
            if number <= 4:
                words.append([])
                continue
            if BEGINS[number] or not words[-1]:
                words.append([])
            words[-1].append(flag)
        assert all(len(set(word)) <= 1 for word in words)
        several += sum(len(word) > 1 for word in words)
    assert several > 100


def test_a_span_is_one_run_and_starts_and_lengths_are_uniform():
    torch.manual_seed(4)
    count = 6
    ids = torch.full((6000, count + 2), 9)
    ids[:, 0], ids[:, -1] = START, END
    hidden = STRATEGIES["span"]()(ids, torch.ones_like(ids)).labels != IGNORED
    edges = torch.diff(hidden.long(), dim=1, prepend=torch.zeros(len(ids), 1, dtype=torch.long)) == 1
    assert torch.equal(edges.sum(1), torch.ones(len(ids), dtype=torch.long))
    first = edges.long().argmax(1)
    starts = torch.bincount(first, minlength=count + 2)[1 : count + 1] / len(ids)
    assert torch.allclose(starts, torch.full((count,), 1 / count), atol=0.02)
    # From the first place on every length is possible and alike.
    lengths = torch.bincount(hidden[first == 1].sum(1), minlength=count + 1)[1:].float()
    assert torch.allclose(lengths / lengths.sum(), torch.full((count,), 1 / count), atol=0.04)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_hides_the_same(name):
    ids, mask = texts(20)
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(STRATEGIES[name]()(ids, mask))
    assert torch.equal(results[0].input_ids, results[1].input_ids)
