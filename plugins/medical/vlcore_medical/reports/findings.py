"""Findings that a radiology report states, denies or leaves open, by rules and without weights.

Every mention of a finding is read in its sentence: cues before and after it ("no", "may represent", "has resolved",
"history of") reach as far as the clause goes. Words that only look like a negation ("no change in the effusion") are
known. A report states a finding if any of its mentions does, else leaves it open if any does, else denies it.

Source: W. W. Chapman et al., A Simple Algorithm for Identifying Negated Findings and Diseases in Discharge Summaries,
J. Biomed. Inform. 34 (2001); labels and their order of precedence from J. Irvin et al., CheXpert, arXiv 1901.07031.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vlcore_medical.reports.assertion import Status, assertion
from vlcore_medical.reports.sentences import sentences
from vlcore_medical.reports.vocabulary import Label, vocabulary

PRECEDENCE: tuple[Status, ...] = ("positive", "uncertain", "negative")
NO_FINDING = "No Finding"
DEVICES = "Support Devices"
"""The one label that does not speak against `No Finding`."""
CHEXPERT = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    DEVICES,
)
"""CheXpert's labels but `No Finding`."""
CHEXPERT_5 = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
"""The five that scores of generated reports are often given over."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a report speaks of a finding.

    Attributes:
        label: the finding.
        status: positive, uncertain or negative; "not mentioned" where only the past is told.
        words: that name it.
        sentence: they stand in, with single spaces.
    """

    label: str
    status: Status
    words: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ReportFindings:
    """What a report says.

    Attributes:
        status: of every label of `label_names()`.
        mentions: sentence by sentence; within one in the order of the labels.
    """

    status: Mapping[str, Status]
    mentions: tuple[Mention, ...]

    def positive(self) -> set[str]:
        """Labels that are stated; what is left open does not count."""
        return {name for name, status in self.status.items() if status == "positive"}

    def evidence(self, label: str) -> str:
        """The first sentence that gives the label its status; empty where no sentence does."""
        wanted = label, self.status[label]
        return next((mention.sentence for mention in self.mentions if (mention.label, mention.status) == wanted), "")


def label_names() -> tuple[str, ...]:
    """All labels: `No Finding`, then those of the vocabulary."""
    return (NO_FINDING, *(label.name for label in vocabulary().labels))


def find(text: str) -> ReportFindings:
    """Read the findings of a report.

    `No Finding` is positive where the text has words and no label but `Support Devices` is stated or left open.

    Args:
        text: findings and impression; the indication asks and does not state, so leave it out.
    """
    spans = sentences(text)
    mentions = tuple(mention for start, end in spans for mention in _mentions(text[start:end]))
    status: dict[str, Status] = {}
    for label in vocabulary().labels:
        said = {mention.status for mention in mentions if mention.label == label.name}
        status[label.name] = next((kind for kind in PRECEDENCE if kind in said), "not mentioned")
    speaking = {name for name, said in status.items() if said in ("positive", "uncertain") and name != DEVICES}
    none: Status = "positive" if spans and not speaking else "not mentioned"
    return ReportFindings({NO_FINDING: none, **status}, mentions)


def mesh_labels(majors: Iterable[str]) -> set[str]:
    """Labels that the MeSH majors of an Open-i report stand for.

    Args:
        majors: a heading with qualifiers, such as `Cardiomegaly/mild` or `Thickening/pleura/left`.
    """
    said = set()
    for major in majors:
        heading, *qualifiers = major.split("/")
        said |= {heading, *(f"{heading}/{qualifier}" for qualifier in qualifiers)}
    return {label.name for label in vocabulary().labels if said.intersection(label.mesh)}


def _mentions(sentence: str) -> Iterator[Mention]:
    words = " ".join(sentence.split())
    for label in vocabulary().labels:
        for start, end, absent in _places(label, sentence):
            status: Status = "negative" if absent else assertion(sentence, start, end)
            yield Mention(label.name, status, sentence[start:end], words)


def _places(label: Label, sentence: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of every mention, and whether its own words say that the finding is absent."""
    absent = [match.span() for match in label.absent.finditer(sentence)]
    taken = [*absent, *(match.span() for match in label.instead.finditer(sentence))]
    yield from ((start, end, True) for start, end in absent)
    for match in label.mentions.finditer(sentence):
        if not any(match.start() < end and start < match.end() for start, end in taken):
            yield match.start(), match.end(), False
