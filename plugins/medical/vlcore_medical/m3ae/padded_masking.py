"""Hiding words the way M3AE's released code does."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.objectives.text_masking import TextMasking


class PaddedMasking(TextMasking):
    """Draws a fixed number of places of a text that is padded to its full length, and forgets those of padding.

    The whole-word collator of transformers, which the release uses, knows no words of RoBERTa's vocabulary, so single
    pieces are hidden; a text of few tokens often has none, against what `TextMasking` says of all others.

    Args:
        vocabulary: number of ids.
        mask_id: of the mask token.
        special_ids: that are no words.
        length: of padded texts, 64 in the release.
        share: of the places: max(1, round(length * share)) are drawn.
    """

    def __init__(
        self, vocabulary: int, mask_id: int, special_ids: tuple[int, ...], length: int = 64, share: float = 0.15
    ) -> None:
        super().__init__(vocabulary, mask_id, special_ids)
        self.length = length
        self.count = max(1, round(length * share))

    def choose(self, input_ids: Tensor, maskable: Tensor) -> Tensor:
        """Those of the drawn places that are within `[B, L]`."""
        length = max(self.length, input_ids.shape[1])
        lot = torch.rand(len(input_ids), length, device=input_ids.device)
        drawn = torch.zeros_like(lot, dtype=torch.bool).scatter(1, lot.topk(self.count, dim=1).indices, True)
        return drawn[:, : input_ids.shape[1]]
