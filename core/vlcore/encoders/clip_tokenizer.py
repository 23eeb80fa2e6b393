"""CLIP's byte-pair tokeniser in Rust, built from the merges file that open_clip carries."""

from __future__ import annotations

import gzip
from pathlib import Path

from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from tokenizers.models import BPE

from vlcore.encoders.tokenizer import Cleaning, FastTokenizer, TokenizerSettings

START, END = "<start_of_text>", "<end_of_text>"
WORD_END = "</w>"
_MERGES = 49152 - 256 - 2
# Contractions, words, single digits, runs of punctuation; everything else (blanks) is dropped.
_PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip_tokenizer(merges: Path, context_length: int = 77, cleaning: Cleaning = "lower") -> FastTokenizer:
    """Build the tokeniser of CLIP (arXiv 2103.00020, section 2.4): the same ids, without its slow parts.

    A text that spells out `<end_of_text>` is split like any other text; it cannot end itself early.

    Args:
        merges: gzip-compressed list of byte-pair merges, the first line a header.
        context_length: the most tokens, start and end included.
        cleaning: of a text before it is split.
    """
    with gzip.open(merges, "rt", encoding="utf-8") as handle:
        lines = handle.read().split("\n")[1 : _MERGES + 1]
    pairs = [(first, second) for first, second in (line.split() for line in lines)]
    letters = _byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), *(a + b for a, b in pairs), START, END]
    numbers = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(BPE(vocab=numbers, merges=pairs, end_of_word_suffix=WORD_END))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, numbers[START]), (END, numbers[END])]
    )
    return FastTokenizer(backend, TokenizerSettings(context_length=context_length, pad_id=0, cleaning=cleaning))


def _byte_letters() -> list[str]:
    """One printable letter per byte, in the order of CLIP's vocabulary: printable bytes first, then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(others)]
