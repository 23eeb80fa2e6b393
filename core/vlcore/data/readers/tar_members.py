"""Members of a tar, read where they stand: nothing is ever extracted."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlcore.errors import ManifestError, Problem

LARGEST_MEMBER = 2**30
"""Bytes of the largest member that is read."""
_BLOCK = 512  # of the tar format


@dataclass(frozen=True, slots=True)
class TarMember:
    """A regular file inside an uncompressed tar.

    Attributes:
        name: its path, relative and inside.
        offset: of its first byte in the tar.
        size: bytes.
    """

    name: str
    offset: int
    size: int

    def read(self, archive: Path) -> bytes:
        """Read its bytes."""
        with archive.open("rb") as handle:
            handle.seek(self.offset)
            return handle.read(self.size)


def tar_members(path: Path) -> Iterator[TarMember | Problem]:
    """Yield the regular files of a tar in their order; a member that is refused comes as a problem.

    Refused are links, devices, sparse files, absolute paths, paths with `..`, and members over `LARGEST_MEMBER`.

    Raises:
        ManifestError: if the file is no tar, or is cut short.
    """
    try:
        with path.open("rb") as handle, tarfile.open(fileobj=handle, mode="r:", errors="strict") as archive:
            while (info := archive.next()) is not None:
                # tarfile keeps every member it has seen; a shard may have hundreds of thousands.
                kept: list[tarfile.TarInfo] = vars(archive)["members"]
                kept.clear()
                if info.isdir():
                    continue
                reason = _refusal(info)
                if reason:
                    yield Problem(f"member {info.name!r}", reason)
                else:
                    yield TarMember(info.name, info.offset_data, info.size)
            # tarfile takes a cut or damaged header for the end; a whole archive ends with a block of zeros.
            handle.seek(archive.offset)
            if handle.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError(f"the archive has no end mark at byte {archive.offset:,}")
    except (tarfile.TarError, UnicodeDecodeError, EOFError, ValueError, OverflowError) as error:
        message = f"is no whole tar: {error}. It may be truncated: copy or download it again."
        raise ManifestError(path, [Problem(path.name, message)]) from None


def _refusal(info: tarfile.TarInfo) -> str:
    name = info.name.replace("\\", "/")
    if info.issym() or info.islnk():
        return f"is a link to {info.linkname!r}. Write the file itself: tar --dereference."
    if not info.isreg() or info.issparse():
        return "is no regular file. Remove it from the archive."
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or "\0" in name:
        return "leads out of the archive. Use relative paths without '..'."
    if info.size > LARGEST_MEMBER:
        return f"has {info.size:,} bytes; at most {LARGEST_MEMBER:,} are read. Store it outside the archive."
    return ""
