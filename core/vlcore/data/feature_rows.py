"""Features that stay on disk: only the rows of a batch are read, in the order in which they lie there."""

from __future__ import annotations

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

_PART_ROWS = 256


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
            rows: `[B]`, from 0 to N - 1; fastest where they ascend.

        Raises:
            VlcoreError: if the file was removed or cut off since.
        """
        self._check()
        places = self._places[rows]
        if len(places) > 1 and (np.diff(places) < 0).any():
            return self._scattered(places)
        return self._ascending(places)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled map would carry the whole file along.
        return {**self.__dict__, "_mapped": None}

    def _ascending(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        gathered = self._buffers.take(len(places))
        if not len(places):
            return gathered
        stored = self._map()
        # PyTorch copies on all cores.
        torch.index_select(stored, 0, torch.from_numpy(places), out=torch.from_numpy(gathered))
        return gathered

    def _scattered(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read in the order of the disk, put where they belong; in parts, so that no second copy of all is held."""
        gathered = self._buffers.take(len(places))
        order, stored, target = np.argsort(places, kind="stable"), self._map(), torch.from_numpy(gathered)
        for start in range(0, len(order), _PART_ROWS):
            part = order[start : start + _PART_ROWS]
            rows = torch.index_select(stored, 0, torch.from_numpy(places[part]))
            target.index_copy_(0, torch.from_numpy(part), rows)
        return gathered

    def _map(self) -> Tensor:
        if self._mapped is None:
            # Copy on write: a tensor cannot be read-only, and the file is never written to.
            mapped = np.memmap(self.path, dtype=FEATURE_DTYPE, mode="c")
            rows = len(mapped) // self.width
            self._mapped = torch.from_numpy(mapped[: rows * self.width].view(np.ndarray).reshape(rows, self.width))
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
