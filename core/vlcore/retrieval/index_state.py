"""The note beside an index's table: whose vectors it holds, and whether it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vlcore.errors import ConfigurationError, FingerprintMismatchError
from vlcore.files import write_text
from vlcore.retrieval.columns import MetadataColumn

FORMAT = 1
FINISHED = "index.json"
UNFINISHED = "unfinished.json"


@dataclass
class IndexState:
    """What an index knows besides its table.

    Attributes:
        model: fingerprint of the model that made the vectors.
        width: D.
        ann_from: rows from which search is approximate.
        columns: of labels and meta.
        model_path: where the model was when the index was made, or None.
    """

    model: str
    width: int
    ann_from: int
    columns: list[MetadataColumn]
    model_path: str | None

    @classmethod
    def read(cls, note: Path) -> IndexState:
        """Read a note.

        Raises:
            ConfigurationError: if it is of another format.
        """
        values = json.loads(note.read_text(encoding="utf-8"))
        found = values.pop("format", None)
        if found != FORMAT:
            raise ConfigurationError(
                f"{note} has the format {found!r}, this version reads {FORMAT}. Make the index again."
            )
        values["columns"] = [MetadataColumn(**column) for column in values["columns"]]
        return cls(**values)

    def write(self, note: Path) -> None:
        """Write a note atomically."""
        write_text(note, json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n")

    def check_model(self, path: Path, fingerprint: str) -> None:
        """Refuse a model that did not make the vectors.

        Raises:
            FingerprintMismatchError: naming both fingerprints.
        """
        if self.model != fingerprint:
            raise FingerprintMismatchError(
                f"The index {path}",
                "model fingerprint",
                self.model,
                fingerprint,
                "Load the model that made it, or make a new index with this one.",
            )


def is_finished(path: Path) -> bool:
    """True if the folder holds a whole index."""
    return (path / FINISHED).is_file()


def is_unfinished(path: Path) -> bool:
    """True if the folder holds an index whose making was interrupted."""
    return not is_finished(path) and (path / UNFINISHED).is_file()
