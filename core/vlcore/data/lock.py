"""One writer at a time for a folder, across processes and threads."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vlcore.errors import VlcoreError


@contextmanager
def exclusive_lock(path: Path, what: str, wait_seconds: float = 60.0) -> Iterator[None]:
    """Hold a lock file while the body runs; the system releases it when the process dies.

    Args:
        path: the lock file; it is created and stays.
        what: what is being written, for the message.
        wait_seconds: how long to wait for another writer to finish.

    Raises:
        VlcoreError: if another writer keeps the lock for longer.
    """
    with path.open("a+b") as handle:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                raise VlcoreError(
                    f"{what} is being written by another process, which has held {path} for {wait_seconds:.0f} s. "
                    f"Wait for that run to end, stop it, or use another folder (environment variable VLCORE_CACHE)."
                )
            time.sleep(0.02)
        try:
            yield
        finally:
            _unlock(handle)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: IO[bytes]) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            # flock belongs to the open file, so it also keeps two threads of one process apart.
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: IO[bytes]) -> None:
        fcntl.flock(handle.fileno(), fcntl.LOCK_UN)
