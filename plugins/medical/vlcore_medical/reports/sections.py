"""Sections of a radiology report in free text.

Known headings open a section: in capitals anywhere, otherwise at the beginning of a line or a sentence; small typos
in capitals are read (`IMPRESSON:`). Other headings, such as `LUNGS:` in a structured report, stay in their section.
Of two sections of one name the last that is not empty counts, and `FINDINGS AND IMPRESSION` fills both.

Source: the layout of MIMIC-CXR (A. E. W. Johnson et al., arXiv 1901.07042) and of Open-i (D. Demner-Fushman et al.,
J. Am. Med. Inform. Assoc. 23, 2016).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

HEADINGS = {
    "examination": "examination|exam|type of examination|study|procedure|exam type",
    "indication": "indication|indications|history|clinical history|clinical information|reason for exam"
    "|reason for examination|reason for the exam|clinical indication|history/indication|indication/history"
    "|patient history|clinical data",
    "technique": "technique|views|procedure comments|technical factors|protocol",
    "comparison": "comparison|comparisons|comparison exam|comparison study|comparison studies|comparison films",
    "findings": "findings|finding|report|observations|chest findings|description",
    "impression": "impression|impressions|conclusion|conclusions|opinion|interpretation|summary|assessment",
    "recommendation": "recommendation|recommendations",
    "notification": "notification|notifications|communication",
}
"""Names of the sections and how reports write them, divided by `|`."""

_KNOWN = {written: name for name, headings in HEADINGS.items() for written in headings.split("|")}
_MERGED = re.compile(r"findings?\s*(?:and|/|&|,|or)\s*impressions?", re.IGNORECASE)
_CAPITALS = re.compile(r"\b([A-Z][A-Z&/,]*(?: [A-Z&/,]+){0,3})\s*:")
_BEGINNING = re.compile(r"(?:^|\n|(?<=[.!?])\s)[ \t]*([A-Za-z][A-Za-z&/,]*(?: [A-Za-z&/,]+){0,3})[ \t]*:")
_BANNER = re.compile(r"^[ \t]*(?:FINAL|PRELIMINARY|WET READ|INTERIM) REPORT[ \t]*$", re.MULTILINE)
_DIVIDER = re.compile(r"^[ \t]*_{10,}[ \t]*$", re.MULTILINE)
_ADDENDUM = re.compile(r"^\s*(?:FINAL )?(?:ADDENDUM|ADDENDA)\b[ \t]*:?", re.IGNORECASE | re.MULTILINE)
TYPO_LENGTH = 8
"""Shorter headings are not read with typos: too many words are near to them."""
TYPO_SIMILARITY = 0.85


@dataclass(frozen=True, slots=True)
class Sections:
    """Texts of the sections with single spaces; empty where the report has none.

    Attributes:
        indication: why the examination was asked for.
        comparison: earlier examinations.
        technique: views.
        examination: what was done.
        findings: what is seen.
        impression: what it means.
        recommendation: what to do.
        notification: who was told.
        last_paragraph: where a report has neither findings nor impression, its last paragraph.
        addenda: in the order of the text.
    """

    indication: str = ""
    comparison: str = ""
    technique: str = ""
    examination: str = ""
    findings: str = ""
    impression: str = ""
    recommendation: str = ""
    notification: str = ""
    last_paragraph: str = ""
    addenda: tuple[str, ...] = ()

    def statement(self) -> str:
        """What the report states: findings and impression, else its last paragraph, else what stands elsewhere.

        Reports without headings of their own put their findings under COMPARISON or TECHNIQUE.
        """
        said = "\n\n".join(dict.fromkeys(text for text in (self.findings, self.impression) if text))
        return said or self.last_paragraph or self.comparison or self.technique


def split_sections(text: str) -> Sections:
    """Divide a report."""
    addenda, report = _addenda(_BANNER.sub("", text))
    headings = _headings(report)
    ends = [*(start for start, _, _ in headings), len(report)][1:]
    texts: dict[str, str] = {}
    for (_, end, names), following in zip(headings, ends, strict=True):
        if body := report[end:following].strip():
            texts.update(dict.fromkeys(names, body))
    if "findings" not in texts and "impression" not in texts:
        last = headings[-1][1] if headings else 0
        paragraphs = [part.strip() for part in re.split(r"\n[ \t]*\n", report[last:]) if part.strip()]
        # After a heading, the first paragraph is the section's own.
        if paragraphs[1 if headings else 0 :]:
            texts["last_paragraph"] = paragraphs[-1]
            for name in headings[-1][2] if headings else ():
                texts[name] = "\n\n".join(paragraphs[:-1])
    return Sections(**{name: " ".join(body.split()) for name, body in texts.items()}, addenda=addenda)


def _addenda(text: str) -> tuple[tuple[str, ...], str]:
    """Addenda above the last divider that has one above it, and the rest."""
    parts = _DIVIDER.split(text)
    found = [number for number, part in enumerate(parts) if _ADDENDUM.match(part)]
    addenda = tuple(" ".join(_ADDENDUM.sub("", parts[number], count=1).split()) for number in found)
    return addenda, "\n".join(part for number, part in enumerate(parts) if number not in found)


def _headings(text: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """Start, end and section names of every known heading, in order."""
    found: dict[int, tuple[int, tuple[str, ...]]] = {}
    for match in [*_CAPITALS.finditer(text), *_BEGINNING.finditer(text)]:
        words = match[1].split()
        # In one line the last words before the colon are the heading: "None available INDICATION:".
        for first in range(len(words)):
            if names := _names(" ".join(words[first:]), capitals=match[1].isupper()):
                start = match.end(1) - len(match[1].split(maxsplit=first)[first])
                found.setdefault(start, (match.end(), names))
                break
            if match.re is _BEGINNING:
                break
    ordered = sorted((start, end, names) for start, (end, names) in found.items())
    # "CLINICAL HISTORY:" is found whole and as "HISTORY:"; the one that begins first counts.
    return [item for place, item in enumerate(ordered) if not place or item[1] != ordered[place - 1][1]]


def _names(heading: str, capitals: bool) -> tuple[str, ...]:
    heading = heading.lower()
    if _MERGED.fullmatch(heading):
        return "findings", "impression"
    if heading in _KNOWN:
        return (_KNOWN[heading],)
    if capitals and len(heading) >= TYPO_LENGTH - 1:
        long = [name for name in _KNOWN if len(name) >= TYPO_LENGTH]
        return tuple(_KNOWN[name] for name in difflib.get_close_matches(heading, long, n=1, cutoff=TYPO_SIMILARITY))
    return ()
