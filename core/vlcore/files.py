"""Files that are written whole or not at all, and names that stay inside their folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from vlcore.errors import UnsafePathError


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed onto `path`.

    If the body raises, `path` keeps what it held before and the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    # mkstemp makes files private (0600); give the finished file the rights any other file would get.
    umask = os.umask(0)
    os.umask(umask)
    temporary = Path(name)
    temporary.chmod(0o666 & ~umask)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flush a file or a folder entry to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits, read in blocks."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def contained(root: Path, name: str) -> Path:
    """Join an untrusted relative `name` to `root`, following no link out of it.

    Raises:
        UnsafePathError: if `name` is absolute, climbs out with `..`, or is a link to outside.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or pure.is_absolute() or Path(name).is_absolute() or ".." in pure.parts:
        raise UnsafePathError(
            f"The path {name!r} leads out of {root}. Use a path inside that folder, without '..' or a leading '/'."
        )
    target = root / pure
    if not target.resolve().is_relative_to(root.resolve()):
        raise UnsafePathError(f"The path {name!r} is a link that leads out of {root}. Copy the file inside.")
    return target


def safe_name(identifier: str) -> str:
    """A file name for an arbitrary id: reversible percent-encoding, never a path, at most 200 bytes."""
    name = quote(identifier, safe=" -_+=,@()").replace(".", "%2E")
    if len(name) <= 200:
        return name
    return f"{name[:130]}-{hashlib.sha256(identifier.encode()).hexdigest()[:32]}"
