"""Memory for batches that is used again once nobody holds it."""

from __future__ import annotations

import sys
from threading import Lock

import numpy as np
from numpy.typing import NDArray

MOST = 4
"""Buffers that are kept: the batch that trains, the one that is put together, and two for who looks back."""

_OWN_REFERENCES = 3  # the list, the loop and the argument of getrefcount


class BatchBuffers:
    """Arrays `[B, W]` float32, made anew only where all earlier ones are still in use.

    New memory comes from the system page by page, which takes as long as copying a batch into it. An array counts as
    in use as long as anything refers to it: itself, a slice, or a tensor over its memory. So nobody's batch changes
    under their hands, and nobody has to give one back.

    Args:
        width: W.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._buffers: list[NDArray[np.float32]] = []
        self._lock = Lock()

    def take(self, rows: int) -> NDArray[np.float32]:
        """An array `[rows, W]` of any values."""
        with self._lock:
            for buffer in self._buffers:
                if len(buffer) >= rows and sys.getrefcount(buffer) == _OWN_REFERENCES:
                    return buffer[:rows]
            made = np.empty((rows, self.width), dtype="<f4")
            # The oldest goes: sizes change little by little, if at all.
            self._buffers = [*self._buffers[-(MOST - 1) :], made]
            return made[:]

    def __reduce__(self) -> tuple[type[BatchBuffers], tuple[int]]:
        # Another process has memory of its own.
        return BatchBuffers, (self.width,)
