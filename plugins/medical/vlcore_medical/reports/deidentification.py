"""What de-identification left in a report: marks that hide words and are no words themselves.

Open-i writes `XXXX`, MIMIC-CXR `___`, MIMIC-III `[** … **]`.
"""

from __future__ import annotations

import re

# A line of underscores divides MIMIC-CXR's addenda from the report and hides nothing.
_MARK = re.compile(r"\[\*\*.*?\*\*\]|X{4,}|(?<!_)_{2,5}(?!_)", re.DOTALL)
MASK = "[MASK]"
"""As BERT's vocabularies write a hidden word."""


def hidden_words(text: str) -> list[tuple[int, int]]:
    """Start and end of every mark."""
    return [match.span() for match in _MARK.finditer(text)]


def mask_hidden_words(text: str, mask: str = MASK) -> str:
    """Put one mask in the place of every mark.

    Args:
        text: of a report.
        mask: the mask token of the text encoder that will read it.
    """
    return _MARK.sub(lambda _: mask, text)
