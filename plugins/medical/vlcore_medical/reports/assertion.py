"""Whether a sentence states, denies or leaves open what some of its words name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from vlcore_medical.reports.vocabulary import vocabulary

Status = Literal["positive", "uncertain", "negative", "not mentioned"]

NEAR_WORDS = 4
"""How many words may stand between a finding and the "versus" that makes it uncertain."""

_BEFORE: dict[str, Status] = {
    "pseudo": "positive",
    "negated_before": "negative",
    "uncertain_before": "uncertain",
    "historical_before": "not mentioned",
}


def assertion(sentence: str, start: int, end: int) -> Status:
    """What the cues of a sentence make of the words from `start` to `end`.

    Cues reach to the next break of clauses. Of those before the words the nearest counts, so that "no effusion,
    possible atelectasis" denies one and leaves the other open; one after the words overrules them.
    """
    cues, breaks = _cues(sentence)
    first = max((place for place in breaks if place < start), default=0)
    last = min((place for place in breaks if place >= end), default=len(sentence))
    status: Status = "positive"
    for kind, left, right in cues:
        if first <= left and right <= start:
            status = _before(kind, status, sentence[right:start])
        elif end <= left < last and status in ("positive", "uncertain"):
            status = _after(kind, status, sentence[end:left])
    return status


def _before(kind: str, status: Status, between: str) -> Status:
    if kind == "linking":
        return "uncertain" if status == "positive" else status
    if kind == "uncertain_between":
        return "uncertain" if _near(between) else status
    return _BEFORE.get(kind, status)


def _after(kind: str, status: Status, between: str) -> Status:
    # "cardiomegaly, effusion is not seen" are two clauses; a list of findings has its "and" or "or".
    if "," in between and not re.search(r"\b(?:and|or)\b", between):
        return status
    if kind == "negated_after":
        return "negative"
    if kind == "uncertain_after" or (kind == "uncertain_between" and _near(between)):
        return "uncertain"
    return status


def _near(between: str) -> bool:
    return len(between.split()) <= NEAR_WORDS


@lru_cache(maxsize=64)
def _cues(sentence: str) -> tuple[list[tuple[str, int, int]], list[int]]:
    """Kind, start and end of every cue in order, and where clauses break; kept for the labels of one sentence."""
    cues = [(str(match.lastgroup), *match.span()) for match in vocabulary().cues.finditer(sentence)]
    return cues, [match.start() for match in vocabulary().breaks.finditer(sentence)]
