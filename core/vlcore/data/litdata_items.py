"""Items of folders that litdata optimised, read at random; opened once per process."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

from vlcore.errors import ConfigurationError, MissingDependencyError

INDEX = "index.json"
"""File that makes a folder one of litdata's."""

_lock = threading.Lock()
_opened: dict[tuple[int, Path, int], Any] = {}


def litdata_items(index: Path) -> Any:
    """The items of a folder, indexed like a list; each a dictionary.

    Args:
        index: the folder's `index.json`.

    Raises:
        MissingDependencyError: if litdata is not installed.
        ConfigurationError: if litdata cannot open the folder.
    """
    # litdata's readers are not made to be inherited by a forked process.
    key = (os.getpid(), index, index.stat().st_mtime_ns)
    with _lock:
        if key not in _opened:
            try:
                from litdata import StreamingDataset
            except ImportError as error:
                raise MissingDependencyError("litdata", "datasets", f"The folder {index.parent}") from error
            try:
                _opened[key] = StreamingDataset(str(index.parent), shuffle=False)
                len(_opened[key])
            except Exception as error:  # litdata raises whatever its parts do
                _opened.pop(key, None)
                raise ConfigurationError(
                    f"litdata cannot open {index.parent}: {error}. Copy the folder again, or write it with the "
                    f"version that is installed."
                ) from error
        return _opened[key]


def read_litdata_image(index: Path, member: str) -> bytes | None:
    """Encoded bytes of the image of an item; None if there is no such item.

    Args:
        index: the folder's `index.json`.
        member: `key:number`.

    Raises:
        FileNotFoundError: if its chunk cannot be read.
    """
    key, _, number = member.rpartition(":")
    items = litdata_items(index)
    if not number.isdecimal() or int(number) >= len(items):
        return None
    try:
        with _lock:  # one reader, and its buffers, serve all threads
            value = items[int(number)].get(key)
    except Exception as error:  # litdata raises whatever its parts do
        raise FileNotFoundError(errno.ENOENT, f"litdata cannot read item {number}: {error}", str(index)) from error
    return value if isinstance(value, bytes) else None
