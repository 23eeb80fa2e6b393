"""Sentences of a report, by their places in it."""

from __future__ import annotations

import re

# A full stop ends a sentence even where no space follows it ("left apex.There are"), but not inside a number, after
# an abbreviation, or in the number of a list item, which belongs to what it numbers.
_END = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bvs)(?<!\bapprox)(?<!\d)[.!?;]+(?=\s|[A-Z]|$)|(?<=\d)\.(?=\s+\D|$)|\n\s*\n"
)
_LIST_NUMBER = re.compile(r"\s*\(?\d{1,2}[.)]\s*")


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of every sentence that holds a letter, without list numbers and white space around it.

    Single line breaks do not end a sentence: archives wrap lines at a column.
    """
    spans = []
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        number = _LIST_NUMBER.match(text, start, end)
        first = number.end() if number else start
        piece = text[first:end]
        if re.search(r"[^\W\d_]", piece):
            first += len(piece) - len(piece.lstrip())
            spans.append((first, first + len(piece.strip())))
        start = end
    return spans
