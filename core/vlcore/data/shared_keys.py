"""Which records of different splits share a key: a group, a content, a caption."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray


class SharedKeys:
    """Collects `(row, key)` pairs, 16 bytes each; a row may have several keys.

    Keys are signed 64-bit numbers, usually hashes.
    """

    def __init__(self) -> None:
        self._rows, self._keys = array("q"), array("q")

    def add(self, row: int, key: int) -> None:
        """Say that a row has a key."""
        self._rows.append(row)
        self._keys.append(key)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows that have any key, each once."""
        return np.unique(np.array(self._rows, dtype=np.int64))

    def shared(self, splits: NDArray[np.int64], examples: int) -> tuple[NDArray[np.int64], list[tuple[int, int, int]]]:
        """Find rows that share a key with a row of another split.

        Args:
            splits: `[N]` number of each row's split.
            examples: most pairs to return.

        Returns:
            The rows, each once, and pairs `(row, row of another split, key)`, one for each of the first keys.
        """
        if not self._rows:
            return np.empty(0, dtype=np.int64), []
        rows, keys = np.array(self._rows, dtype=np.int64), np.array(self._keys, dtype=np.int64)
        order = np.lexsort((rows, keys))
        rows, keys = rows[order], keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])  # of each key's run
        lowest, highest = (reduce.reduceat(splits[rows], starts) for reduce in (np.minimum, np.maximum))
        lengths = np.diff(np.r_[starts, len(rows)])
        crossing = lowest != highest
        pairs = []
        for start, length in zip(starts[crossing], lengths[crossing], strict=True):
            run = rows[start : start + length]
            other = run[np.argmax(splits[run] != splits[run[0]])]
            pairs.append((int(run[0]), int(other), int(keys[start])))
        found = np.unique(rows[np.repeat(crossing, lengths)])
        # In the order of the records: the first examples are the first that a person meets.
        return found, sorted(pairs)[:examples]
