"""What was found of identities in a collection, in numbers and names of attributes, never in values."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from vlcore_medical.dicom.image import quiet
from vlcore_medical.dicom.privacy import answer, identifying, is_marked


@dataclass
class PrivacyReport:
    """Counts of files.

    Attributes:
        marked: that say they are de-identified.
        accepted: taken without such a mark, because the user said so.
        left_out: for lack of such a mark.
        burned_in: what the files taken say about writing in their pixels: yes, no, not said.
        recognizable: what they say about faces that can be recognised in their pixels.
        attributes: by kind and name, files taken whose header held such an attribute; none of it is in any output.
    """

    marked: int = 0
    accepted: int = 0
    left_out: int = 0
    burned_in: Counter[str] = field(default_factory=Counter)
    recognizable: Counter[str] = field(default_factory=Counter)
    attributes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, dataset: Dataset) -> None:
        """Count a file that is taken."""
        with quiet():
            if is_marked(dataset):
                self.marked += 1
            else:
                self.accepted += 1
            self.burned_in[answer(dataset, "BurnedInAnnotation")] += 1
            self.recognizable[answer(dataset, "RecognizableVisualFeatures")] += 1
            for kind, name in set(identifying(dataset)):
                self.attributes.setdefault(kind, Counter())[name] += 1

    def values(self) -> dict[str, Any]:
        """As JSON values, sorted."""
        return {
            "marked": self.marked,
            "accepted": self.accepted,
            "left_out": self.left_out,
            "burned_in": dict(sorted(self.burned_in.items())),
            "recognizable": dict(sorted(self.recognizable.items())),
            "attributes": {kind: dict(sorted(names.items())) for kind, names in sorted(self.attributes.items())},
        }

    def json(self) -> str:
        """For programs."""
        return json.dumps(self.values(), indent=2) + "\n"

    def text(self) -> str:
        """For people."""
        lines = [
            "Privacy report",
            "",
            f"{self.marked:,} files say that they are de-identified.",
            f"{self.accepted:,} files without such a mark were taken, because it was asked for.",
            f"{self.left_out:,} files without such a mark were left out.",
            "",
            *self.warnings(),
            "",
            "The table holds pseudonyms and coded values only. These attributes were in the headers, by number of",
            "files; none of their values was written:",
        ]
        for kind, names in sorted(self.attributes.items()):
            lines += ["", f"{kind}:", *(f"  {name}: {count:,}" for name, count in sorted(names.items()))]
        return "\n".join(lines) + "\n"

    def warnings(self) -> list[str]:
        """Sentences on what may be left in the pixels and has to be looked at."""
        said, silent = self.burned_in["yes"], self.burned_in["not said"]
        found = []
        if said:
            found.append(f"{said:,} files say that there is writing in their pixels: look at their previews.")
        if silent:
            found.append(f"{silent:,} files do not say whether there is writing in their pixels: look at samples.")
        if faces := self.recognizable["yes"]:
            found.append(f"{faces:,} files say that a person can be recognised in their pixels.")
        return found or ["All files say that there is no writing in their pixels."]
