"""A text tower's token states in one row, so that those of a frozen tower are cached as pooled features are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vlcore.encoders.base import TextEncoder
from vlcore.encoders.wrapped_tower import WrappedTower
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, Trainable

DEFAULT_TOKENS = 40
"""Captions are shorter; every text takes this much room in the cache."""


class TextTokenEncoder(WrappedTower[TextEncoder], TextEncoder):
    """Token states of any text tower that has them.

    What the tower pools is the states of its first L tokens one after the other, `[B, L * W]`, zeros behind the end of
    the text. Longer texts are cut there: `tokens` says how many there are.

    Args:
        tower: whose states they are.
        tokens: L.

    Attributes:
        token_width: W.
    """

    def __init__(self, tower: TextEncoder, tokens: int = DEFAULT_TOKENS) -> None:
        super().__init__()
        self._wrap(tower)
        self.tokens = min(tokens, tower.context_length)
        self.tokenizer = tower.tokenizer
        self.context_length = tower.context_length
        device = next(tower.parameters()).device
        probe = tower.tokenizer(["a"])
        with torch.no_grad():
            states = tower(probe.input_ids.to(device), probe.attention_mask.to(device)).tokens
        if states is None:
            raise ConfigurationError(f"{tower.source} gives one vector per text and no tokens; choose another tower.")
        self.token_width = int(states.shape[2])
        self.width = self.tokens * self.token_width

    @classmethod
    def from_config(cls, config: dict[str, Any], tokenizer_folder: Path) -> TextTokenEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        from vlcore.encoders import encoder_class

        tower_class: Any = encoder_class(config["class_path"])
        return cls(tower_class.from_config(config["arguments"], tokenizer_folder), config["tokens"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Encode ids `[B, L]` int64 with mask `[B, L]`."""
        states = self.tower(input_ids, attention_mask).tokens
        assert states is not None
        states = (states * attention_mask[..., None])[:, : self.tokens]
        padded = nn.functional.pad(states, (0, 0, 0, self.tokens - states.shape[1]))
        return EncoderOutput(padded, padded.flatten(1))

    def config(self) -> dict[str, Any]:
        """The tower's class and arguments, and L."""
        return {**super().config(), "tokens": self.tokens}


def build_text(argument: str, trainable: Trainable = "none") -> TextTokenEncoder:
    """Build the token states of a pretrained tower; `argument` is the tower's own name, such as `starter/minilm`.

    Raises:
        ConfigurationError: if the tower has no tokens; otherwise as `build_text_encoder`.
    """
    from vlcore.encoders import build_text_encoder

    encoder = TextTokenEncoder(build_text_encoder(argument))
    encoder.set_trainable(trainable)
    return encoder.eval()
