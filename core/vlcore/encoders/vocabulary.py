"""What masked language modelling has to know of a vocabulary."""

from __future__ import annotations

import json
from dataclasses import dataclass

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.tokenizer import FastTokenizer
from vlcore.errors import ConfigurationError

_MASKS = ("[MASK]", "<mask>")


@dataclass(frozen=True)
class Vocabulary:
    """Word pieces and what they are.

    Attributes:
        size: of the vocabulary, ids 0 to size - 1.
        mask_id: stands for a hidden piece.
        special_ids: pieces that are no words, ascending; never hidden, and never put in the place of a word.
        begins_word: for each id, whether a word begins with it; None where the vocabulary does not mark that.
    """

    size: int
    mask_id: int
    special_ids: tuple[int, ...]
    begins_word: tuple[bool, ...] | None

    @classmethod
    def of(cls, tokenizer: TextTokenizer, place: str) -> Vocabulary:
        """Read the vocabulary of a tokeniser.

        Args:
            tokenizer: of a text tower.
            place: its name, for messages.

        Raises:
            ConfigurationError: if it has no mask token.
        """
        if not isinstance(tokenizer, FastTokenizer):
            raise ConfigurationError(f"{place}: the tokeniser has no tokenizer.json; masked words need one.")
        description = json.loads(tokenizer.to_json())
        pieces: dict[str, int] = tokenizer.pieces()
        mask = next((pieces[name] for name in _MASKS if name in pieces), None)
        if mask is None:
            raise ConfigurationError(
                f"{place}: the vocabulary has no mask token ({' or '.join(_MASKS)}), so words cannot be hidden. Choose "
                f"a text tower of BERT's family."
            )
        special = {int(token["id"]) for token in description["added_tokens"] if token["special"]}
        special |= {tokenizer.pad_id, mask}
        size = max(pieces.values()) + 1
        begins = _begins_word(description, pieces, size)
        return cls(size, mask, tuple(sorted(special)), begins)


def _begins_word(description: dict[str, object], pieces: dict[str, int], size: int) -> tuple[bool, ...] | None:
    model = description["model"]
    assert isinstance(model, dict)
    begins = [True] * size
    if model["type"] == "WordPiece":
        prefix = model["continuing_subword_prefix"]
        for piece, number in pieces.items():
            begins[number] = not piece.startswith(prefix)
    elif any(mark in str(description["pre_tokenizer"]) for mark in ("ByteLevel", "Metaspace")):
        # Both mark a blank: words begin with it.
        for piece, number in pieces.items():
            begins[number] = piece.startswith(("Ġ", "▁"))
    else:
        return None
    return tuple(begins)
