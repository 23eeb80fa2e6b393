"""Which records of a manifest are trained on, validated on and tested on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vlcore.data.manifest import open_manifest
from vlcore.data.record import Record
from vlcore.data.splits import hold_out
from vlcore.errors import ConfigurationError

Part = Literal["train", "val", "test"]


@dataclass
class SplitSelection:
    """Reads a manifest once, when its records are first asked for.

    Attributes:
        manifest: file or folder.
        image_root: folder that image paths start from; None for the manifest's own.
        lang: of the texts to keep, or None.
        train_split: name of the records to train on.
        val_split: name of the records to validate on; None holds a part of the training records out.
        val_fraction: that part, by group.
        test_split: name of the records to test on.
        seed: of the hold-out.
        reader: name of a plugin's reader, or None.
        fingerprint: of the manifest; empty until it is read.
    """

    manifest: Path
    image_root: Path | None
    lang: str | None
    train_split: str
    val_split: str | None
    val_fraction: float
    test_split: str
    seed: int
    reader: str | None = None
    fingerprint: str = ""
    _by_split: dict[str | None, list[Record]] = field(default_factory=dict, repr=False)

    def records(self, part: Part) -> list[Record]:
        """Records of a part that have texts; none to validate on where `val_fraction` is 0.

        Raises:
            ManifestError: if the manifest has bad rows.
            ConfigurationError: if there is no such split, or a text in it.
        """
        if part == "test":
            return self._split(self.test_split)
        train = self._split(self.train_split)
        if self.val_split is not None:
            return train if part == "train" else self._split(self.val_split)
        if self.val_fraction == 0:
            return train if part == "train" else []
        kept, held_out = hold_out(train, self.val_fraction, seed=self.seed)
        return list(kept if part == "train" else held_out)

    def _split(self, name: str) -> list[Record]:
        if not self._by_split:
            self._read()
        # A manifest that names no splits at all is all there is to train on.
        key = None if name == self.train_split and set(self._by_split) == {None} else name
        if key not in self._by_split:
            known = ", ".join(sorted(repr(split) for split in self._by_split if split is not None)) or "none"
            raise ConfigurationError(
                f"{self.manifest} has no captioned records of the split {name!r}. Its splits: {known}. Choose one of "
                f"them, or write 'split' into the manifest's rows."
            )
        return self._by_split[key]

    def _read(self) -> None:
        manifest = open_manifest(self.manifest, image_root=self.image_root, lang=self.lang, reader=self.reader)
        self.fingerprint = manifest.fingerprint()
        for record in manifest:
            if record.texts:
                self._by_split.setdefault(record.split, []).append(record)
        if not self._by_split:
            raise ConfigurationError(
                f"{self.manifest} has no texts{f' of the language {self.lang!r}' if self.lang else ''}: there is "
                f"nothing to align images with. Add captions{', or choose another language' if self.lang else ''}."
            )
