"""Where each member of a tar is, kept small and shared by all threads of a process."""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.data.readers.tar_members import TarMember, tar_members
from vlcore.errors import ManifestError, Problem

MOST_MEMBERS = 2_000_000
"""Members of all indexes that are kept: 24 bytes each."""


class TarIndex:
    """Names (as hashes), offsets and sizes of a tar's members.

    Args:
        path: of the tar, which is scanned once.

    Raises:
        ManifestError: if the tar is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        hashes, offsets, sizes = array("Q"), array("Q"), array("Q")
        for member in tar_members(path):
            if not isinstance(member, Problem):  # refused when the manifest was opened
                hashes.append(_hash(member.name))
                offsets.append(member.offset)
                sizes.append(member.size)
        order = np.argsort(np.frombuffer(hashes, np.uint64), kind="stable")
        self._hashes, self._offsets, self._sizes = (_sorted(values, order) for values in (hashes, offsets, sizes))

    def __len__(self) -> int:
        return len(self._hashes)

    def read(self, name: str) -> bytes | None:
        """Bytes of a member; None if there is none of that name.

        Raises:
            ManifestError: if the tar became shorter.
        """
        position = int(np.searchsorted(self._hashes, np.uint64(_hash(name))))
        if position == len(self) or int(self._hashes[position]) != _hash(name):
            return None
        member = TarMember(name, int(self._offsets[position]), int(self._sizes[position]))
        data = member.read(self._path)
        if len(data) != member.size:
            message = f"ends after {len(data):,} of {member.size:,} bytes. Copy or download the archive again."
            raise ManifestError(self._path, [Problem(f"member {name!r}", message)])
        return data


_lock = threading.Lock()
_indexes: OrderedDict[tuple[Path, int, int], TarIndex] = OrderedDict()


def read_tar_member(path: Path, name: str) -> bytes | None:
    """Bytes of a member of a tar; None if there is none of that name.

    Raises:
        FileNotFoundError: if there is no such tar.
        ManifestError: if it is damaged.
    """
    return _index(path).read(name)


def _index(path: Path) -> TarIndex:
    stat = path.stat()
    key = (path, stat.st_size, stat.st_mtime_ns)
    # Threads that want the same new tar wait for one scan instead of making it each for themselves.
    with _lock:
        if key not in _indexes:
            _indexes[key] = TarIndex(path)
            while len(_indexes) > 1 and sum(map(len, _indexes.values())) > MOST_MEMBERS:
                _indexes.popitem(last=False)
        _indexes.move_to_end(key)
        return _indexes[key]


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _sorted(values: array[int], order: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.frombuffer(values, np.uint64)[order]


def _new_lock() -> None:
    """Give a forked worker a lock that no thread of its parent holds."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
