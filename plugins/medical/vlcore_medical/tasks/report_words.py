"""The words of reports as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PAD, START, END, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def plain_words(text: str) -> list[str]:
    """Lower-case words and full stops; other punctuation goes, as in the field's scores."""
    return re.findall(r"[^\W_]+(?:[-'][^\W_]+)*|\.", text.lower())


def frequent_words(texts: Iterable[str], least: int = 1) -> list[str]:
    """Words that come at least so often in texts, those of training alone, in the order of the alphabet."""
    counts = Counter(word for text in texts for word in plain_words(text))
    return sorted(word for word, count in counts.items() if count >= least)


class ReportWords:
    """A vocabulary.

    Args:
        words: each with a number of its own; every other word is unknown.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [*_SPECIAL, *words]
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str], longest: int) -> Tensor:
        """Numbers `[N, L]` int64: start, words, end, padding; a text that is too long is cut and has no end."""
        rows = []
        for text in texts:
            numbers = [self._number.get(word, UNKNOWN) for word in plain_words(text)]
            rows.append([START, *numbers, END][:longest])
        width = max(map(len, rows), default=0)
        return torch.tensor([row + [PAD] * (width - len(row)) for row in rows], dtype=torch.int64)

    def decode(self, numbers: Sequence[int]) -> str:
        """Words up to the end, with spaces between them."""
        words = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self.words[number])
        return " ".join(words)
