"""Images that stand in the cells of Parquet and Arrow tables."""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlcore.errors import ManifestError, Problem

MOST_BYTES = 256 * 2**20
"""Bytes of Parquet row groups that are kept; at least the last two are, so that threads may stand at a border."""
MOST_FILES = 64
"""Arrow files that are kept mapped, and Parquet files whose row groups are remembered."""

_File = tuple[str, int, int]  # path, size, time


class _Part(NamedTuple):
    """Cells of a row group or a mapped file; `first` is the row that it starts with."""

    first: int
    cells: pa.ChunkedArray
    size: int


_lock = threading.Lock()
_parts: OrderedDict[tuple[_File, str, int], _Part] = OrderedDict()
_ends: OrderedDict[_File, list[int]] = OrderedDict()
"""Rows at which the row groups of a Parquet file end."""


def read_table_image(path: Path, column: str, row: int) -> bytes | None:
    """Bytes in a cell of a table; None if there is no such cell or it is empty.

    Args:
        path: a Parquet file, or an Arrow stream file.
        column: of encoded images, or of structs with the field `bytes`.
        row: counted from 0 over the whole file.

    Raises:
        FileNotFoundError: if there is no such file.
        ManifestError: if it is damaged.
    """
    stat = path.stat()
    file = (str(path), stat.st_size, stat.st_mtime_ns)
    try:
        # Threads that want the same row group wait until one has read it.
        with _lock:
            read = _arrow_file if path.suffix.lower() == ".arrow" else _row_group
            part = read(path, file, column, row)
        if part is None or not 0 <= row - part.first < len(part.cells):
            return None
        cell: bytes | None = part.cells[row - part.first].as_py()
        return cell
    except KeyError:
        return None
    except (pa.ArrowException, OSError) as error:
        message = f"cannot be read: {error}. The file may be damaged: write or download it again."
        raise ManifestError(path, [Problem(f"column {column!r}, row {row}", message)]) from None


def _arrow_file(path: Path, file: _File, column: str, row: int) -> _Part | None:
    key = (file, column, -1)
    if key not in _parts:
        # Mapped, not read: pages come in when a cell is asked for and can go again.
        table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        _parts[key] = _Part(0, _bytes(table.column(column)), 0)
        _forget()
    _parts.move_to_end(key)
    return _parts[key]


def _row_group(path: Path, file: _File, column: str, row: int) -> _Part | None:
    ends = _row_group_ends(path, file)
    group = bisect.bisect_right(ends, row)
    if group == len(ends):
        return None
    key = (file, column, group)
    if key not in _parts:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            is_struct = pa.types.is_struct(table.schema_arrow.field(column).type)
            cells = table.read_row_group(group, columns=[f"{column}.bytes" if is_struct else column]).column(0)
        _parts[key] = _Part(ends[group - 1] if group else 0, _bytes(cells), cells.nbytes)
        _forget()
    _parts.move_to_end(key)
    return _parts[key]


def _row_group_ends(path: Path, file: _File) -> list[int]:
    if file not in _ends:
        metadata = pq.read_metadata(path)
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        _ends[file] = list(itertools.accumulate(sizes))
        while len(_ends) > MOST_FILES:
            _ends.popitem(last=False)
    return _ends[file]


def _bytes(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells


def _forget() -> None:
    """Let go of what was not used for longest."""
    while sum(part.size == 0 for part in _parts.values()) > MOST_FILES:
        del _parts[next(key for key, part in _parts.items() if part.size == 0)]
    groups = [key for key, part in _parts.items() if part.size]
    while len(groups) > 2 and sum(_parts[key].size for key in groups) > MOST_BYTES:
        del _parts[groups.pop(0)]


def _new_lock() -> None:
    """Give a forked worker a lock that no thread of its parent holds."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
