"""Tokenisers as plain data: a `tokenizer.json` and a few settings, nothing that needs the library it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tokenizers import Tokenizer

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.cleaning import clean_canonical, clean_lower, clean_whitespace
from vlcore.encoders.source_folder import read_json
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.files import write_text
from vlcore.types import TokenBatch

Cleaning = Literal["none", "lowercase", "whitespace", "lower", "canonical"]

TOKENIZER_FILE = "tokenizer.json"
SETTINGS_FILE = "tokenizer_settings.json"

CLEANERS: dict[str, Callable[[str], str]] = {
    "none": str,
    "lowercase": str.lower,
    "whitespace": clean_whitespace,
    "lower": clean_lower,
    "canonical": clean_canonical,
}


@dataclass(frozen=True, slots=True)
class TokenizerSettings:
    """What decides the ids besides the vocabulary.

    Attributes:
        context_length: the most tokens of a text, special tokens included.
        pad_id: fills short texts on the right.
        cleaning: of a text before it is split: `none`; `lowercase` and nothing else; `whitespace` mends the encoding
            and joins blanks; `lower` does that and lowers the case; `canonical` also drops punctuation.
        prompt: put before every text, such as `query: `.
        blanked_id: an id that is replaced by 0 (open_clip's `strip_sep_token`), or None.
    """

    context_length: int
    pad_id: int
    cleaning: Cleaning = "none"
    prompt: str = ""
    blanked_id: int | None = None


class FastTokenizer(TextTokenizer):
    """A Rust tokeniser of the `tokenizers` library with its settings.

    Args:
        backend: splits and numbers; its own padding and truncation are switched off.
        settings: what else decides the ids.
    """

    def __init__(self, backend: Tokenizer, settings: TokenizerSettings) -> None:
        _check_settings(backend, settings)
        # A copy: the caller's tokeniser keeps its padding and truncation.
        self._backend: Tokenizer = Tokenizer.from_str(backend.to_str())
        self._backend.no_padding()
        self._backend.no_truncation()
        self._cutting: Tokenizer = Tokenizer.from_str(self._backend.to_str())
        self._cutting.enable_truncation(settings.context_length)
        self.settings = settings
        self.context_length = settings.context_length
        self.pad_id = settings.pad_id
        self.largest_id = max(backend.get_vocab(with_added_tokens=True).values())
        self._clean = CLEANERS[settings.cleaning]

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenise, cut at the context length (marked), pad right to the longest of the batch."""
        if isinstance(texts, str):
            raise ConfigurationError(f"Pass a list of texts, not the single text {texts!r}.")
        cleaned = [self.settings.prompt + self._clean(text) for text in texts]
        rows: list[list[int]] = [encoding.ids for encoding in self._backend.encode_batch_fast(cleaned)]
        truncated = [len(row) > self.context_length for row in rows]
        for index in np.flatnonzero(truncated).tolist():
            # Cutting is left to the library: special tokens must survive it.
            rows[index] = self._cutting.encode(cleaned[index]).ids
        batch = pad_rows(rows, self.pad_id, truncated)
        if self.settings.blanked_id is not None:
            batch.input_ids[batch.input_ids == self.settings.blanked_id] = 0
        return batch

    def id_of(self, token: str) -> int | None:
        """Id of a token, or None if there is no such token."""
        found: int | None = self._backend.token_to_id(token)
        return found

    def pieces(self) -> dict[str, int]:
        """Every piece of the vocabulary with its id."""
        found: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        return found

    def to_json(self) -> str:
        """Vocabulary and rules, as in `tokenizer.json`."""
        return str(self._backend.to_str())

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_settings.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / TOKENIZER_FILE, self._backend.to_str(pretty=True))
        write_settings(folder, self.settings)

    def identity(self) -> str:
        """SHA-256 of vocabulary, rules and settings."""
        settings = json.dumps(asdict(self.settings), sort_keys=True)
        return hashlib.sha256(f"{settings}\n{self._backend.to_str()}".encode()).hexdigest()


def load_tokenizer(folder: Path) -> TextTokenizer:
    """Read what a tokeniser's `save` wrote.

    Raises:
        ModelDirectoryError: if a file is missing or damaged.
    """
    settings = read_settings(folder)
    if (folder / TOKENIZER_FILE).is_file():
        return FastTokenizer(read_backend(folder / TOKENIZER_FILE), settings)
    from vlcore.encoders.python_tokenizer import PythonTokenizer

    return PythonTokenizer.load(folder, settings)


def write_settings(folder: Path, settings: TokenizerSettings) -> None:
    """Write `tokenizer_settings.json`."""
    write_text(folder / SETTINGS_FILE, json.dumps(asdict(settings), indent=2) + "\n")


def read_settings(folder: Path) -> TokenizerSettings:
    """Read `tokenizer_settings.json`.

    Raises:
        ModelDirectoryError: if it is missing or has other keys; nothing is filled in.
    """
    values = read_json(folder / SETTINGS_FILE, "the context length and the cleaning of texts")
    names = {field.name for field in fields(TokenizerSettings)}
    if set(values) != names:
        raise ModelDirectoryError(
            f"{folder / SETTINGS_FILE} must have exactly the keys {sorted(names)}, found {sorted(values)}. Take the "
            f"file from the run that wrote the weights."
        )
    return TokenizerSettings(**values)


def read_backend(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        ModelDirectoryError: if it is missing or damaged.
    """
    if not path.is_file():
        raise ModelDirectoryError(f"{path} is missing: the ids would be a guess. Copy the whole folder of the tower.")
    try:
        return Tokenizer.from_file(str(path))
    # The Rust library raises bare Exceptions.
    except Exception as error:
        raise ModelDirectoryError(f"{path} is no tokeniser: {error}. Copy it again.") from error


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int, truncated: Sequence[bool]) -> TokenBatch:
    """Put rows of ids into one batch, padded right to the longest.

    Args:
        rows: B lists of ids; an empty one becomes a single pad token that counts as real.
        pad_id: fills short rows.
        truncated: B flags.
    """
    filled = [row or (pad_id,) for row in rows]
    lengths = np.fromiter(map(len, filled), dtype=np.int64, count=len(filled))
    longest = int(lengths.max(initial=0))
    mask = np.arange(longest) < lengths[:, None]  # [B, L]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(filled), dtype=np.int64, count=int(lengths.sum()))
    return TokenBatch(
        torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), torch.tensor(truncated, dtype=torch.bool)
    )


def check_vocabulary(tokenizer: TextTokenizer, rows: int, place: Path | str) -> None:
    """Make sure that every id of a tokeniser has a row in the tower's embedding table.

    Args:
        tokenizer: of the tower.
        rows: of the embedding table.
        place: of both, for the message.

    Raises:
        ModelDirectoryError: if an id, or the pad id, is outside.
    """
    largest = max(tokenizer.largest_id, tokenizer.pad_id)
    if largest >= rows:
        raise ModelDirectoryError(
            f"{place}: the tokeniser has ids up to {largest} (pad id {tokenizer.pad_id}), but the tower's table has "
            f"{rows} rows. Tokeniser and weights belong to different models: take both from one release."
        )


def _check_settings(backend: Tokenizer, settings: TokenizerSettings) -> None:
    if settings.cleaning not in CLEANERS:
        raise ConfigurationError(f"cleaning={settings.cleaning!r}: choose one of {', '.join(CLEANERS)}.")
    special = backend.num_special_tokens_to_add(False)
    if settings.context_length <= special:
        raise ConfigurationError(
            f"context_length={settings.context_length} leaves no room beside {special} special tokens: raise it."
        )
    if settings.pad_id < 0:
        raise ConfigurationError(f"pad_id={settings.pad_id}: it must be the id of a token, 0 or above.")
