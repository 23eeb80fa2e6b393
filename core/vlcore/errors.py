"""Errors that a user can act on: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class VlcoreError(Exception):
    """Base of every error that vlcore raises on purpose.

    The message is one readable paragraph with the place, the offending value and the mend. The command
    line prints it and exits with code 2; anything else is a defect of vlcore and keeps its traceback.

    Attributes:
        as_typed: the message with options as a user of the command types them; set by the command line.
    """

    as_typed: str | None = None


class ConfigurationError(VlcoreError):
    """An option or a configuration value that cannot be used."""


class UnknownNameError(VlcoreError):
    """A name that no registry holds; the nearest known names are offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        offer = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        super().__init__(f"There is no {kind} named {name!r}. {offer}{' ' + hint if hint else ''}")
        self.kind = kind
        self.name = name


class DuplicateNameError(VlcoreError):
    """Two distributions claim one name."""

    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(
            f"The {kind} name {name!r} is claimed by both {first!r} and {second!r}. "
            f"Uninstall one of them, or ask its authors for another name."
        )
        self.kind = kind
        self.name = name
        self.owners = (first, second)


class PluginError(VlcoreError):
    """A plugin that is broken, too old, too new, or switched off."""


class MissingDependencyError(VlcoreError, ImportError):
    """An optional library is needed and not installed.

    Args:
        module: import name of the library.
        extra: that brings it.
        needed_by: what needs it, as the subject of the sentence.
        distribution: whose extra it is.
    """

    def __init__(self, module: str, extra: str, needed_by: str, distribution: str = "vlcore") -> None:
        VlcoreError.__init__(
            self,
            f'{needed_by} needs the library {module!r}, which is not installed: pip install "{distribution}[{extra}]"',
        )
        self.module = module
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place of an input file.

    Attributes:
        place: where, as a person would look for it: `line 12`, `row 3`, `member a/b.jpg`.
        message: what is wrong, with the offending value, and the mend.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ManifestError(VlcoreError):
    """A manifest with bad lines; all of them are listed together, up to a cap."""

    SHOWN = 20

    def __init__(self, path: Path | str, problems: Sequence[Problem], total: int | None = None) -> None:
        count = len(problems) if total is None else total
        shown = "\n".join(f"  {problem}" for problem in problems[: self.SHOWN])
        more = f"\n  … and {count - self.SHOWN} more" if count > self.SHOWN else ""
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"{path}: {count} {noun}. Nothing was read; mend these and run again:\n{shown}{more}")
        self.path = Path(path)
        self.problems = tuple(problems)
        self.total = count


class ImageDecodeError(VlcoreError):
    """An image that cannot be decoded.

    Args:
        sample_id: id of the record.
        place: file (and member) that was read.
        reason: what is wrong with it.
    """

    def __init__(self, sample_id: str, place: str, reason: str) -> None:
        super().__init__(
            f"Image of record {sample_id!r} ({place}) cannot be decoded: {reason}. Replace the file, remove the "
            f"record, or choose on_bad_image='skip' (leave it out, counted) or 'replace' (a grey image, counted)."
        )
        self.sample_id = sample_id
        self.place = place
        self.reason = reason


class UnsafePathError(VlcoreError):
    """A path of an archive or manifest that leads out of its folder."""


class ModelDirectoryError(VlcoreError):
    """A model directory, checkpoint or tower folder that is incomplete, changed or of another format."""


class FingerprintMismatchError(VlcoreError):
    """Stored vectors were made by another model, preprocessing or data version than the one in use."""

    def __init__(self, what: str, field: str, stored: object, current: object, mend: str) -> None:
        super().__init__(
            f"{what} was made with another {field}: stored {stored!r}, now {current!r}. Mixing them gives wrong "
            f"answers, so it is refused. {mend}"
        )
        self.field = field
        self.stored = stored
        self.current = current


class EvaluationError(VlcoreError):
    """A score that cannot be computed honestly: NaN embeddings, no captions, leaking splits."""


class CheckpointError(VlcoreError):
    """A checkpoint that cannot be written, read, or gone on from exactly."""


class NonFiniteGradientsError(VlcoreError):
    """A training step whose loss or gradients are NaN or infinite; it was not taken."""
