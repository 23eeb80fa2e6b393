"""A folder or zip archive of files, read in place: nothing is ever unpacked to disk."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore.files import contained

MAX_MEMBER_BYTES = 2**32
"""A zip member that says it is larger is refused: small archives can claim any size."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Files of a folder or archive.

    Attributes:
        names: sorted, relative to the folder or archive.
        open: opens a file by its name.
    """

    names: tuple[str, ...]
    open: Callable[[str], IO[bytes]]


@contextmanager
def open_collection(path: Path) -> Iterator[Collection]:
    """Open a folder or a zip archive.

    Raises:
        ConfigurationError: if it is neither.
        UnsafePathError: if a link or a member's name leads out of it.
        ManifestError: listing members that are encrypted or too large.
    """
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        for name in names:
            contained(path, name)
        yield Collection(tuple(names), lambda name: (path / name).open("rb"))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(path, members)
            yield Collection(tuple(sorted(member.filename for member in members)), archive.open)
    else:
        raise ConfigurationError(f"{path} is neither a folder nor a zip archive. Give the place of the DICOM files.")


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    problems = []
    for member in members:
        contained(path.with_suffix(""), member.filename)
        if member.flag_bits & 0x1:
            problems.append(Problem(f"member {member.filename}", "is encrypted. Unpack the archive yourself."))
        elif member.file_size > MAX_MEMBER_BYTES:
            size = f"{member.file_size / 2**30:.1f} GiB"
            problems.append(Problem(f"member {member.filename}", f"says it has {size}. Unpack the archive yourself."))
    if problems:
        raise ManifestError(path, problems)
