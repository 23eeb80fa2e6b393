"""Action triplets of surgery (instrument, verb, target) as English sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

THIRD_PERSON = {
    "grasp": "grasps",
    "retract": "retracts",
    "dissect": "dissects",
    "coagulate": "coagulates",
    "clip": "clips",
    "cut": "cuts",
    "aspirate": "aspirates",
    "irrigate": "irrigates",
    "pack": "packs",
}
"""The verbs of CholecT50."""

FULL_NAMES = {"bipolar": "bipolar forceps"}
"""Instruments whose name in the data set is half of what they are called."""

PLURALS = ("bipolar forceps", "scissors")

NO_VERB, NO_TARGET = "null_verb", "null_target"
NO_ACTION = "no instrument acts"


@dataclass(frozen=True, slots=True)
class Triplet:
    """Who does what to what, in the data set's words.

    Attributes:
        instrument: such as `grasper`.
        verb: such as `retract`; `null_verb` where the instrument does nothing.
        target: such as `cystic_duct`; `null_target` where there is none.
    """

    instrument: str
    verb: str
    target: str

    def clause(self) -> str:
        """The triplet in words: `the grasper retracts the cystic duct`."""
        name = FULL_NAMES.get(self.instrument, self.instrument)
        subject, plural = f"the {name}", name in PLURALS
        if self.verb == NO_VERB:
            return f"{subject} {'are' if plural else 'is'} idle"
        target = self.target.replace("_", " ")
        verb = self.verb if plural else THIRD_PERSON[self.verb]
        return f"{subject} {verb}" if self.target == NO_TARGET else f"{subject} {verb} the {target}"


def sentence(triplets: Sequence[Triplet]) -> str:
    """All that happens in a frame as one sentence, each action once, in the order given."""
    clauses = list(dict.fromkeys(triplet.clause() for triplet in triplets)) or [NO_ACTION]
    if len(clauses) == 1:
        return clauses[0]
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"
