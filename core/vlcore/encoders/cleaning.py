"""Cleaning of texts as CLIP-like models were trained with it."""

from __future__ import annotations

import html
import string

from vlcore.errors import MissingDependencyError

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_whitespace(text: str) -> str:
    """Mend a broken encoding, resolve HTML entities, join runs of blanks."""
    return " ".join(_mend(text).split())


def clean_lower(text: str) -> str:
    """`clean_whitespace` in lower case, as for CLIP (arXiv 2103.00020)."""
    return " ".join(_mend(text).split()).lower()


def clean_canonical(text: str) -> str:
    """Lower case without punctuation, underscores as blanks, as for SigLIP (arXiv 2303.15343)."""
    return " ".join(_mend(text).replace("_", " ").translate(_NO_PUNCTUATION).lower().split())


def _mend(text: str) -> str:
    # Printable ASCII has nothing to mend but entities: nine captions in ten are spared a slow library.
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    try:
        import ftfy
    except ImportError as error:
        raise MissingDependencyError("ftfy", "open_clip", "The tokeniser of CLIP models") from error
    return html.unescape(html.unescape(ftfy.fix_text(text)))
