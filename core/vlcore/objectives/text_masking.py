"""Which words a model has to guess: single pieces, whole words, or one span."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

IGNORED = -100
"""Label of tokens that are not to be guessed, as in PyTorch's cross-entropy."""


class MaskedText(NamedTuple):
    """Texts with hidden words.

    Attributes:
        input_ids: `[B, L]` with some ids replaced.
        labels: `[B, L]` the hidden ids, -100 elsewhere.
    """

    input_ids: Tensor
    labels: Tensor


class TextMasking(nn.Module, ABC):
    """Hides words as BERT does (arXiv 1810.04805, section 3.1).

    Of the tokens that a strategy chooses, 80 % become the mask token, 10 % a random word piece and 10 % stay. Only real
    word pieces are chosen: neither padding nor special tokens. Every text with a word has at least one chosen token; a
    text without any has none, and adds nothing to the loss.

    Args:
        vocabulary: number of ids.
        mask_id: of the mask token.
        special_ids: that are no words.
    """

    words: Tensor
    is_special: Tensor

    def __init__(self, vocabulary: int, mask_id: int, special_ids: tuple[int, ...]) -> None:
        super().__init__()
        self.mask_id = mask_id
        special = torch.zeros(vocabulary, dtype=torch.bool)
        special[list(special_ids)] = True
        self.register_buffer("is_special", special, persistent=False)
        self.register_buffer("words", torch.arange(vocabulary)[~special], persistent=False)

    @abstractmethod
    def choose(self, input_ids: Tensor, maskable: Tensor) -> Tensor:
        """Which of the maskable tokens `[B, L]` bool of ids `[B, L]` are to be guessed: `[B, L]` bool."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> MaskedText:
        """Hide words of texts: ids `[B, L]` with mask `[B, L]`."""
        maskable = attention_mask.bool() & ~self.is_special[input_ids]
        chosen = self.choose(input_ids, maskable) & maskable
        labels = torch.where(chosen, input_ids, IGNORED)
        lot = torch.rand(input_ids.shape, device=input_ids.device)
        random_word = self.words[torch.randint(len(self.words), input_ids.shape, device=input_ids.device)]
        hidden = torch.where(lot < 0.8, self.mask_id, torch.where(lot < 0.9, random_word, input_ids))
        return MaskedText(torch.where(chosen, hidden, input_ids), labels)


class TokenMasking(TextMasking):
    """Each word piece by itself.

    Args:
        vocabulary: number of ids.
        mask_id: of the mask token.
        special_ids: that are no words.
        share: of the pieces.
    """

    def __init__(self, vocabulary: int, mask_id: int, special_ids: tuple[int, ...], share: float = 0.15) -> None:
        super().__init__(vocabulary, mask_id, special_ids)
        self.share = share

    def choose(self, input_ids: Tensor, maskable: Tensor) -> Tensor:
        """Each with probability `share`, and the one with the smallest lot where that is none."""
        lot = torch.rand(input_ids.shape, device=input_ids.device)
        return at_least_one(lot, lot < self.share, maskable)


class WholeWordMasking(TokenMasking):
    """All pieces of a word, or none.

    Args:
        vocabulary: number of ids.
        mask_id: of the mask token.
        special_ids: that are no words.
        begins_word: for each id, whether a word begins with it.
        share: of the words.
    """

    begins: Tensor

    def __init__(
        self,
        vocabulary: int,
        mask_id: int,
        special_ids: tuple[int, ...],
        begins_word: tuple[bool, ...],
        share: float = 0.15,
    ) -> None:
        super().__init__(vocabulary, mask_id, special_ids, share)
        self.register_buffer("begins", torch.tensor(begins_word), persistent=False)

    def choose(self, input_ids: Tensor, maskable: Tensor) -> Tensor:
        """All pieces of a word draw one lot."""
        # The first piece of a text begins a word, whatever mark it has.
        after_special = torch.nn.functional.pad(~maskable[:, :-1], (1, 0), value=True)
        word = (self.begins[input_ids] | after_special | ~maskable).long().cumsum(dim=1) - 1  # [B, L] word numbers
        lot = torch.rand(input_ids.shape, device=input_ids.device).gather(1, word)
        return at_least_one(lot, lot < self.share, maskable)


class SpanMasking(TextMasking):
    """One run of neighbouring pieces per text (InterBERT, arXiv 2003.13198, section 3.2).

    Its start is uniform over the text and its length uniform in 1 .. number of pieces, cut at the end of the text.
    """

    def choose(self, input_ids: Tensor, maskable: Tensor) -> Tensor:
        """The run."""
        place: Tensor = maskable.long().cumsum(dim=1) - 1  # [B, L] number of the piece among the maskable ones
        pieces = maskable.sum(dim=1, keepdim=True)
        start, length = (torch.rand(2, len(pieces), 1, device=input_ids.device) * pieces).long()
        run: Tensor = (place >= start) & (place <= start + length)
        return run


def at_least_one(lot: Tensor, chosen: Tensor, allowed: Tensor) -> Tensor:
    """Of each row's allowed places, the chosen ones, or those with the smallest lot where none is chosen.

    Args:
        lot: `[B, L]` in 0..1.
        chosen: `[B, L]` bool.
        allowed: `[B, L]` bool.
    """
    chosen = chosen & allowed
    smallest = lot.masked_fill(~allowed, 2.0)
    fallback = (smallest == smallest.amin(dim=1, keepdim=True)) & allowed
    return chosen | (fallback & ~chosen.any(dim=1, keepdim=True))
