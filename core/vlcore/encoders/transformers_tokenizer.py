"""The tokeniser of a transformers folder, turned into plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.python_tokenizer import PythonTokenizer
from vlcore.encoders.tokenizer import Cleaning, FastTokenizer, TokenizerSettings
from vlcore.encoders.transformers_model import quiet
from vlcore.errors import ConfigurationError, ModelDirectoryError

_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
# Tokenisers of bytes or characters have no vocabulary file.
_WITHOUT_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer")


def read_transformers_tokenizer(folder: Path) -> Any:
    """Load the tokeniser of a folder through transformers, from local files alone.

    Raises:
        ModelDirectoryError: if the folder has none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    settings = folder / "tokenizer_config.json"
    # Without this check transformers would make up an empty vocabulary for some classes.
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        text = settings.read_text(encoding="utf-8") if settings.is_file() else ""
        if not any(name in text for name in _WITHOUT_VOCABULARY):
            raise ModelDirectoryError(
                f"{folder / 'tokenizer.json'} is missing, and so is every other vocabulary: the ids would be a guess. "
                f"Copy the whole folder of the tower."
            )
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelDirectoryError(
            f"{folder}: the tokeniser cannot be read ({type(error).__name__}: {error}). Copy the folder again; a "
            f"tokeniser that needs code of its own is not run."
        ) from error
    return tokenizer


def plain_tokenizer(
    tokenizer: Any,
    context_length: int,
    *,
    cleaning: Cleaning = "none",
    prompt: str = "",
    blanked_id: int | None = None,
) -> TextTokenizer:
    """Turn a transformers tokeniser into one of vlcore's.

    Args:
        tokenizer: `transformers.PreTrainedTokenizerBase`.
        context_length: the most tokens that the tower reads; a smaller limit of the tokeniser itself wins.
        cleaning: of a text before it is split.
        prompt: put before every text.
        blanked_id: an id that is replaced by 0, or None.

    Raises:
        ConfigurationError: if the tokeniser cuts or pads in a way that towers here do not read.
    """
    if tokenizer.truncation_side != "right":
        raise ConfigurationError(
            f"The tokeniser {type(tokenizer).__name__} cuts long texts on the left; towers here read their beginning. "
            f"Choose another text tower."
        )
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    if pad_id is None:
        raise ConfigurationError(
            f"The tokeniser {type(tokenizer).__name__} has neither a pad token nor an end token, so texts of different "
            f"length cannot share a batch. Add a pad token to its tokenizer_config.json."
        )
    limit = min(context_length, int(min(tokenizer.model_max_length, 10**9)))
    settings = TokenizerSettings(limit, int(pad_id), cleaning, prompt, blanked_id)
    if tokenizer.is_fast:
        return FastTokenizer(tokenizer.backend_tokenizer, settings)
    if blanked_id is not None:
        raise ConfigurationError(f"{type(tokenizer).__name__} exists only in Python; strip_sep_token is not supported.")
    return PythonTokenizer(tokenizer, settings)
