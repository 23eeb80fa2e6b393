"""Tokenisers of transformers that exist only in Python, such as SigLIP's sentencepiece and ByT5's bytes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.tokenizer import CLEANERS, TokenizerSettings, pad_rows, write_settings
from vlcore.errors import ModelDirectoryError
from vlcore.types import TokenBatch


class PythonTokenizer(TextTokenizer):
    """Wraps a slow tokeniser of transformers; use a folder with `tokenizer.json` where there is one.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizer`.
        settings: context length, pad id, cleaning and prompt.
    """

    def __init__(self, tokenizer: Any, settings: TokenizerSettings) -> None:
        self._tokenizer = tokenizer
        self.settings = settings
        self.context_length = settings.context_length
        self.pad_id = settings.pad_id
        self.largest_id = max(tokenizer.get_vocab().values())
        self._identity = ""

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenise, cut at the context length (marked), pad right to the longest of the batch."""
        clean = CLEANERS[self.settings.cleaning]
        rows: list[list[int]] = []
        truncated = []
        for text in texts:
            ids = self._tokenizer(self.settings.prompt + clean(text), truncation=False, verbose=False)["input_ids"]
            truncated.append(len(ids) > self.context_length)
            if truncated[-1]:
                ids = self._tokenizer(
                    self.settings.prompt + clean(text), truncation=True, max_length=self.context_length
                )["input_ids"]
            rows.append(ids)
        return pad_rows(rows, self.pad_id, truncated)

    def save(self, folder: Path) -> None:
        """Write the files of transformers and `tokenizer_settings.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save_pretrained(folder)
        write_settings(folder, self.settings)

    @classmethod
    def load(cls, folder: Path, settings: TokenizerSettings) -> PythonTokenizer:
        """Read what `save` wrote.

        Raises:
            ModelDirectoryError: if a file is missing or damaged.
        """
        from transformers import AutoTokenizer

        if not (folder / "tokenizer_config.json").is_file():
            raise ModelDirectoryError(f"{folder} has neither tokenizer.json nor tokenizer_config.json: copy it again.")
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise ModelDirectoryError(f"{folder}: the tokeniser cannot be read: {error}. Copy it again.") from error
        return cls(tokenizer, settings)

    def identity(self) -> str:
        """SHA-256 of the saved files and the settings."""
        if not self._identity:
            digest = hashlib.sha256(json.dumps(asdict(self.settings), sort_keys=True).encode())
            digest.update(type(self._tokenizer).__name__.encode())
            with tempfile.TemporaryDirectory() as folder:
                self._tokenizer.save_pretrained(folder)
                for path in sorted(Path(folder).rglob("*")):
                    # tokenizer_config.json names library versions and folders; the class and the settings stand for it.
                    if path.is_file() and path.name != "tokenizer_config.json":
                        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
                        digest.update(path.read_bytes())
            digest.update(json.dumps(self._tokenizer.get_vocab(), sort_keys=True).encode())
            self._identity = digest.hexdigest()
        return self._identity
