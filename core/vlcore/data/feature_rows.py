"""Features that stay on disk: only the rows of a batch are read, in the order in which they lie there."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.batch_buffers import BatchBuffers
from vlcore.errors import VlcoreError

FEATURE_DTYPE = "<f4"
"""Little-endian float32, one row after the other, nothing else in the file."""

_GAP_ROWS = 1024
_MOST_PARTS = 256


class FeatureRows:
    """N rows of a feature file, in any order; indexed like an array, it reads what is asked for and no more.

    The file is mapped, so several processes share one copy of what was read. A process that gets this object by
    pickling maps the file for itself.

    Args:
        path: of the feature file.
        width: W.
        places: `[N]` which row of the file each is.

    Raises:
        VlcoreError: if the file ends before the last of these rows.
    """

    def __init__(self, path: Path, width: int, places: NDArray[np.int64]) -> None:
        self.path = path
        self.width = width
        self._places = places
        self._needed = (int(places.max()) + 1 if len(places) else 0) * width * np.dtype(FEATURE_DTYPE).itemsize
        self._file: mmap.mmap | None = None
        self._mapped: Tensor | None = None
        self._buffers = BatchBuffers(width)
        self._check()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return len(self) * self.width * np.dtype(FEATURE_DTYPE).itemsize

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Copy of some rows `[B, W]`.

        Args:
            rows: `[B]`, from 0 to N - 1; fastest where they lie in blocks.

        Raises:
            VlcoreError: if the file was removed or cut off since.
        """
        self._check()
        places = self._places[rows]
        gathered = self._buffers.take(len(places))
        if len(places):
            stored = self._map()
            self._read_ahead(places)
            # PyTorch copies on all cores.
            torch.index_select(stored, 0, torch.from_numpy(places), out=torch.from_numpy(gathered))
        return gathered

    def __getstate__(self) -> dict[str, Any]:
        # A pickled map would carry the whole file along.
        return {**self.__dict__, "_file": None, "_mapped": None}

    def _read_ahead(self, places: NDArray[np.int64]) -> None:
        """Tell the system which parts of the file will be read, so that a disk is read in its own order.

        Rows that lie in any order within blocks would otherwise be fetched page by page as they are copied.
        """
        if self._file is None or not hasattr(mmap, "MADV_WILLNEED"):
            return
        ordered = np.sort(places, kind="stable")
        cuts = np.flatnonzero(np.diff(ordered) > _GAP_ROWS)
        if len(cuts) > _MOST_PARTS:  # rows from everywhere: a word for each would cost more than it brings
            return
        row = self.width * np.dtype(FEATURE_DTYPE).itemsize
        for first, last in zip(ordered[[0, *(cuts + 1)]], ordered[[*cuts, -1]], strict=True):
            start = int(first) * row // mmap.PAGESIZE * mmap.PAGESIZE
            self._file.madvise(mmap.MADV_WILLNEED, start, (int(last) + 1) * row - start)

    def _map(self) -> Tensor:
        if self._mapped is None:
            with self.path.open("rb") as file:
                # Copy on write: a tensor cannot be read-only, and the file is never written to.
                self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            rows = len(self._file) // (self.width * np.dtype(FEATURE_DTYPE).itemsize)
            values = np.frombuffer(self._file, dtype=FEATURE_DTYPE, count=rows * self.width)
            self._mapped = torch.from_numpy(values.reshape(rows, self.width))
        return self._mapped

    def _check(self) -> None:
        """Refuse to read behind the end of the file, which would end the process without a word."""
        try:
            found = self.path.stat().st_size
            state = f"has {found:,} bytes where {self._needed:,} are needed"
        except FileNotFoundError:
            found, state = -1, "is gone"
        if found < self._needed:
            raise VlcoreError(
                f"The features in {self.path} cannot be read: the file {state}; it was removed or cut off after the "
                f"run had opened it. Start again: features that are missing are computed anew. Keep the cache where "
                f"nothing clears it while a run is going on."
            )
