"""Sides in a report, and the report of the mirrored image.

A horizontal flip of an image makes "left effusion" untrue. The words can be swapped, but not where they name what a
body has on one side only: after a flip "right atrium" is untrue, and so is "left atrium".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from vlcore.errors import VlcoreError

Side = Literal["left", "right", "both"]

_SWAPPED = {
    **{"left": "right", "leftward": "rightward", "leftwards": "rightwards", "l": "r", "lt": "rt"},
    **{"lul": "rul", "lll": "rll", "dextro": "levo"},
}
_SWAPPED |= {swapped: word for word, swapped in _SWAPPED.items()}
_LEFT = ("left", "leftward", "leftwards", "l", "lt", "lul", "lll", "levo")

# L1 to L5 are vertebrae; a small l or r is no side; "left in place" and "right away" are no sides either.
_SIDE = re.compile(
    r"\b(?:(?i:left|right)(?i:wards?)?|L(?!-?\d|[- ]spine)|R|(?i:lt|rt)|LUL|RUL|LLL|RLL)(?=\b|_)"
    r"|\b(?i:dextro|levo)(?=-?(?i:roto)?-?(?i:scoliosis|curvature|convex))"
    r"|\b(?P<both>(?i:bilateral(?:ly)?|both|bibasilar|bibasal|biapical|bi-?hilar))\b"
)
_NO_SIDE = re.compile(
    r"\b(?:was|were|been|be|is|are) left (?=in place|in situ|open|unchanged|alone|behind)"
    r"|\bleft(?= (?:in place|in situ|over|the (?:hospital|department|room|emergency)))"
    r"|\bright (?=away|now|after|before)|\ball right\b",
    re.IGNORECASE,
)
_CHAMBER = r"(?:atri(?:um|a|al)|ventric(?:le|les|ular))"
_SINGLE = re.compile(
    rf"\b(?:left|right)(?:[- ]sided)?(?: \w+)? (?:{_CHAMBER}|heart|cardiac|aort(?:a|ic)|arch|brachiocephalic|"
    r"innominate|coronary|middle lobe|hepatic|colic|colon|gastric)\b"
    rf"|\b{_CHAMBER} (?:and|or) {_CHAMBER}\b"
    r"|\b(?:lingular?|(?:mid|middle)[- ]lobe|RML|azygos|situs|dextrocardia|levocardia|cardiac apex|"
    r"(?:heart|cardiac) border|(?:minor|horizontal) fissure|liver|spleen|splenic|hepatic|stomach|gastric bubble|"
    r"gallbladder|cholecystectomy|cavoatrial)\b"
    r"|\b(?:LV|RV|LVH|RVH|RA|LAE|RAE|LAD|RCA)\b",
    re.IGNORECASE,
)
_ABBREVIATIONS = {"LV", "RV", "LVH", "RVH", "RA", "LAE", "RAE", "LAD", "RCA", "RML"}


class UnsafeMirrorError(VlcoreError):
    """A text that no swap of words makes true of the mirrored image."""


@dataclass(frozen=True, slots=True)
class SideMention:
    """One word that names a side.

    Attributes:
        side: left, right or both.
        start: of the word in the text.
        end: of the word in the text.
    """

    side: Side
    start: int
    end: int


def side_mentions(text: str) -> tuple[SideMention, ...]:
    """Words that name a side of the patient, in order; dextroscoliosis is convex to the right."""
    # One space for each character of white space: places stay, and wrapped lines read as one.
    flat = re.sub(r"\s", " ", text)
    idle = [match.span() for match in _NO_SIDE.finditer(flat)]
    found = []
    for match in _SIDE.finditer(flat):
        start, end = match.span()
        if any(first <= start < last for first, last in idle):
            continue
        side: Side = "both" if match["both"] else "left" if match[0].lower() in _LEFT else "right"
        found.append(SideMention(side, start, end))
    return tuple(found)


def one_sided_anatomy(text: str) -> list[str]:
    """Words that name what lies on one side only, so that a flipped image makes them untrue."""
    found = [match[0] for match in _SINGLE.finditer(" ".join(text.split()))]
    # Abbreviations are capitals: "ra" and "lad" are not.
    return [words for words in found if words.upper() not in _ABBREVIATIONS or words.isupper()]


def mirrored(text: str) -> str:
    """The text of the horizontally flipped image: left and right change places, capitals are kept.

    Raises:
        UnsafeMirrorError: if the text names one-sided anatomy.
    """
    if single := one_sided_anatomy(text):
        raise UnsafeMirrorError(
            f"The text names {single[0]!r}, which a flipped image shows on the wrong side: {text!r:.120}. "
            f"Do not flip the image of this text."
        )
    pieces = []
    last = 0
    for mention in side_mentions(text):
        if mention.side != "both":
            word = text[mention.start : mention.end]
            pieces += [text[last : mention.start], _as_written(_SWAPPED[word.lower()], word)]
            last = mention.end
    return "".join([*pieces, text[last:]])


def _as_written(word: str, example: str) -> str:
    if example.isupper():
        return word.upper()
    return word.capitalize() if example[0].isupper() else word
