"""The words that the finding rules know, read from `vocabulary.yaml` beside this file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class Label:
    """One finding.

    Attributes:
        name: as CheXpert writes it where CheXpert has it.
        mentions: phrases that name the finding.
        instead: phrases with the same words that mean something else.
        absent: phrases that say by themselves that it is not there.
        mesh: MeSH majors of Open-i that stand for it: a heading, or heading/qualifier.
    """

    name: str
    mentions: re.Pattern[str]
    instead: re.Pattern[str]
    absent: re.Pattern[str]
    mesh: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Labels and cues.

    Attributes:
        version: grows with every change that can change a label.
        labels: in their fixed order.
        cues: phrases of every kind in one pattern; the name of the group that matched is the kind.
        breaks: where the scope of every cue ends.
    """

    version: int
    labels: tuple[Label, ...]
    cues: re.Pattern[str]
    breaks: re.Pattern[str]


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary of this package's version."""
    text = files("vlcore_medical.reports").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    labels = tuple(
        Label(
            name=name,
            mentions=_pattern(words["mentions"]),
            instead=_pattern(words.get("instead", ())),
            absent=_pattern(words.get("absent", ())),
            mesh=tuple(words["mesh"]),
        )
        for name, words in values["labels"].items()
    )
    breaks = values["cues"].pop("breaks")
    groups = (f"(?P<{kind}>{_alternatives(phrases)})" for kind, phrases in values["cues"].items())
    return Vocabulary(
        version=values["version"],
        labels=labels,
        cues=re.compile(rf"(?<!\w)(?:{'|'.join(groups)})(?!\w)", re.IGNORECASE),
        breaks=_pattern(breaks),
    )


def _alternatives(phrases: Iterable[str]) -> str:
    # The longest first: an alternation takes the first that fits, and "no new" must not be read as "no".
    ordered = sorted(phrases, key=len, reverse=True)
    return "|".join(f"(?:{phrase})".replace(" ?", r"\s*").replace(" ", r"\s+") for phrase in ordered)


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    # (?!) never matches: what an empty list means.
    return re.compile(rf"\b(?:{_alternatives(phrases) or '(?!)'})(?!\w)", re.IGNORECASE)
