"""Prompts of a map, checked before anything is encoded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore.retrieval.zero_shot import label_embeddings

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model

MOST_UNKNOWN = 0.3
"""Share of pieces that a text tower may not know before a prompt is refused."""

_FEWEST_LETTERS = 1.5  # per piece; fewer means that words are spelt out, as in a language the tower never read
_UNKNOWN = ("[UNK]", "<unk>")


def prompt_vectors(model: Model, prompts: Sequence[str], templates: str) -> NDArray[np.float32]:
    """One unit vector `[P, D]` per prompt.

    Args:
        model: whose text tower reads them.
        prompts: words in a language that the tower has learnt.
        templates: name of a prompt set whose sentences the words are put into; `plain` leaves them as they are.

    Raises:
        ConfigurationError: if a prompt is empty, comes twice, or is in words that the tower does not know.

    Warns:
        UserWarning: if the tower can only spell a prompt out.
    """
    for prompt in prompts:
        _check_words(model, prompt)
    return label_embeddings(model, prompts, templates)


def _check_words(model: Model, prompt: str) -> None:
    tokenizer = model.network.text_encoder.tokenizer
    pieces: dict[str, int] = getattr(tokenizer, "pieces", dict)()
    batch = tokenizer([prompt, ""])
    ids = batch.input_ids[0][batch.attention_mask[0].bool()].tolist()
    frame = int(batch.attention_mask[1].sum())  # begin and end marks
    read = max(len(ids) - frame, 1)
    unknown = sum(ids.count(pieces[name]) for name in _UNKNOWN if name in pieces)
    letters = sum(character.isalnum() for character in prompt)
    if unknown > MOST_UNKNOWN * read:
        raise ConfigurationError(
            f"The text tower of this model ({model.network.text_encoder.source}) does not know {unknown} of the {read} "
            f"pieces of {prompt!r}. It was made for another language: write the prompt in that one, or use a "
            f"multilingual model."
        )
    foreign = any(character.isalpha() and ord(character) > 0x24F for character in prompt)  # beyond Latin letters
    if foreign and letters < _FEWEST_LETTERS * read:
        warnings.warn(
            f"The text tower of this model reads {prompt!r} letter by letter, as a language that it has not learnt. Do "
            f"not trust the map unless the model is multilingual.",
            stacklevel=3,
        )
