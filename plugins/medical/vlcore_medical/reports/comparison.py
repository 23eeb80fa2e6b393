"""Words of a report that only an earlier examination can justify.

A model that sees one image cannot know that an effusion is stable; a generator trained on such sentences invents
priors.

Source: V. Ramesh et al., Improving Radiology Report Generation Systems by Removing Hallucinated References to
Non-existent Priors, arXiv 2210.06340.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vlcore_medical.reports.sentences import sentences

Kind = Literal["study", "change"]

_STUDY = re.compile(
    r"\b(?:(?:in )?compar(?:ed|ison)(?: is made)? (?:to|with)(?! (?:the )?(?:left|right|other|opposite|contralateral))|"
    r"(?:prior|previous|earlier|old|most recent) (?:\w+ ){0,3}?"
    r"(?:exam(?:ination)?s?|stud(?:y|ies)|films?|radiographs?|images?|imaging|x-?rays?|x-XXXX|cts?|scans?|reports?)|"
    r"(?:since|than) (?:the |that )?(?:prior|previous|previously|last)|"
    r"from (?:the )?(?:prior|previous)(?=\s*(?:[.,;]|$|XXXX))|"
    r"previously (?:seen|noted|described|identified|visuali[sz]ed|reported|demonstrated)|"
    r"(?:once )?again|re-?demonstrat(?:ed|ion))\b",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:stable|unchanged|(?:no|without) (?:\w+ ){0,3}change|not (?:\w+ ){0,2}changed|"
    r"interval (?!follow|film|imaging)\w+|in the interval|persist(?:s|ent|ently)|remains?|"
    r"(?:has|have) (?:\w+ )?(?:increased|decreased|improved|worsened|resolved|cleared|developed|progressed)|"
    r"worsen(?:ed|ing)|improv(?:ed|ing|ement)|(?:increas|decreas|enlarg|resolv|progress)ing|resolved|"
    r"new(?:ly)?(?! (?:york|born))|no longer|as before|similar to)\b",
    re.IGNORECASE,
)
# What a report says where there is nothing to compare with, and what it asks for.
_NO_PRIOR = re.compile(
    r"\b(?:no|without|absence of|lack of|unavailable) (?:(?!changes?\b|longer\b)\w+ ){0,4}?"
    r"(?:prior|previous|comparison|old)\b"
    r"|\b(?:comparison (?:to|with) )?(?:prior|previous|comparison) (?:\w+ ){0,3}?"
    r"(?:not|unavailable|recommended|would|if)\b"
    r"|\bshort(?: |-)(?:term |interval )"
    r"|\bif (?:\w+ ){0,3}?(?:prior|previous|old)\b",
    re.IGNORECASE,
)
_STABLE_PATIENT = re.compile(r"\b(?:clinically|hemodynamically|patient is) stable\b", re.IGNORECASE)
_NONE = re.compile(r"(?:none|no|n/?a|not available|unavailable|nil)\b.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class PriorReference:
    """One place that needs an earlier examination.

    Attributes:
        kind: `study` names one; `change` says how something differs from it.
        words: that do so.
        sentence: they stand in, with single spaces.
    """

    kind: Kind
    words: str
    sentence: str


def prior_references(text: str) -> tuple[PriorReference, ...]:
    """Find what refers to an earlier examination, in the order of the text; at most one of each kind per sentence."""
    found = []
    for start, end in sentences(text):
        sentence = " ".join(text[start:end].split())
        rest = _STABLE_PATIENT.sub(" ", _NO_PRIOR.sub(" ", sentence))
        kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (("study", _STUDY), ("change", _CHANGE))
        for kind, pattern in kinds:
            if match := pattern.search(rest):
                found.append(PriorReference(kind, match[0], sentence))
    return tuple(found)


def names_prior(comparison: str) -> bool:
    """Whether a COMPARISON section names an earlier examination; `None available.` and an empty one do not."""
    words = comparison.strip(" .\n\t")
    return bool(words) and not _NONE.fullmatch(words)


def invented_prior_rate(reports: Iterable[str]) -> float:
    """Fraction in [0, 1] of reports, written without an earlier examination, that refer to one; 0 without reports."""
    told = [bool(prior_references(report)) for report in reports]
    return sum(told) / len(told) if told else 0.0
