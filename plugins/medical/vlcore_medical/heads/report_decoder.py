"""A small decoder that writes a report word by word over a memory: cells of an image, or words of a text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.heads.standardise import Standardise


class ReportDecoder(nn.Module):
    """A Transformer decoder (arXiv 1706.03762, norms first as in arXiv 2002.04745) over frozen features.

    Words in and words out share their vectors (arXiv 1608.05859).

    Args:
        memory_width: W, width of the memory.
        words: V, size of the vocabulary.
        longest: the most words of a report, start and end included.
        width: D.
        layers: of the decoder.
        dropout: everywhere.
    """

    def __init__(
        self, memory_width: int, words: int, longest: int, *, width: int = 128, layers: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.longest = longest
        self.standardise = Standardise(memory_width)
        self.memory = nn.Linear(memory_width, width)
        self.word = nn.Embedding(words, width)
        self.place = nn.Embedding(longest, width)
        for table in (self.word, self.place):
            nn.init.normal_(table.weight, std=width**-0.5)
        layer = nn.TransformerDecoderLayer(
            width,
            nhead=4,
            dim_feedforward=4 * width,
            dropout=dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.decoder = nn.TransformerDecoder(layer, layers, norm=nn.LayerNorm(width))

    def forward(self, memory: Tensor, mask: Tensor, words: Tensor) -> Tensor:
        """Logits `[B, L, V]` of the word after each of the words.

        Args:
            memory: `[B, M, W]`.
            mask: `[B, M]` bool, True where there is memory.
            words: `[B, L]` int64, the start word first.

        Raises:
            ConfigurationError: if there are more words than `longest`.
        """
        length = words.shape[1]
        if length > self.longest:
            raise ConfigurationError(f"{length} words are more than this decoder's longest={self.longest}.")
        state = self.word(words) + self.place.weight[:length]
        later = torch.ones(length, length, dtype=torch.bool, device=words.device).triu(1)
        state = self.decoder(
            state, self.memory(self.standardise(memory)), tgt_mask=later, memory_key_padding_mask=~mask
        )
        logits: Tensor = state @ self.word.weight.T
        return logits
