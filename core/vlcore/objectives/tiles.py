"""Logits of all combinations of images and texts, one tile at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vlcore.objectives.log_sum_exp import RunningLogSumExp
from vlcore.objectives.pair_inputs import compute_dtype
from vlcore.objectives.pair_keys import PairKeys
from vlcore.objectives.process_rows import ProcessRows


class Tile(NamedTuple):
    """One rectangle of the logits; the next tile overwrites its tensors.

    Args:
        rows: which of this process's images.
        columns: which of all texts.
        image: `[R, D]`.
        text: `[C, D]`.
        logits: `[R, C]`, free to be overwritten.
        positives: `[R, C]` bool, likewise. To multiply by it would make a tile of numbers of it first: fill instead.
        scratch: two tensors `[R, C]` of any content.
    """

    rows: slice
    columns: slice
    image: Tensor
    text: Tensor
    logits: Tensor
    positives: Tensor
    scratch: tuple[Tensor, Tensor]


class Tiles:
    """Goes through the logits of this process's images (rows) with the texts of all processes (columns).

    Memory is that of one tile, whatever the size of the batch. Everything is computed in `compute_dtype`; half
    precision embeddings are widened tile by tile.

    Args:
        image: `[B, D]` unit norm, of this process.
        text: `[N, D]` unit norm, of all processes.
        scale: `[]`, factor of the cosines.
        bias: `[]`, added to every logit; None for none.
        keys: of all N pairs.
        processes: whose rows are whose.
        size: rows and columns of a tile.
    """

    def __init__(
        self,
        image: Tensor,
        text: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        keys: PairKeys,
        processes: ProcessRows,
        size: int,
    ) -> None:
        self.image, self.text, self.keys, self.processes = image, text, keys, processes
        self.dtype = compute_dtype(image, text)
        self._scale = scale.to(self.dtype)
        self._bias = None if bias is None else bias.to(self.dtype)
        self.rows, self.columns = _parts(len(image), size), _parts(len(text), size)
        room = min(size, len(image)) * min(size, len(text))
        # One block for all: the C library gives one of this size back to the system, and keeps several smaller ones.
        in_numbers = 3 * room * self.dtype.itemsize
        block = image.new_empty(in_numbers + 2 * room, dtype=torch.uint8)
        self._numbers = block[:in_numbers].view(self.dtype).view(3, room)
        self._bits = block[in_numbers:].view(torch.bool).view(2, room)

    def __iter__(self) -> Iterator[Tile]:
        """All tiles: those of `rows[0]` from left to right, then those of `rows[1]` and so on."""
        for rows in self.rows:
            image = self.image[rows].to(self.dtype)
            scaled = image * self._scale
            for columns in self.columns:
                text = self.text[columns].to(self.dtype)
                logits, *scratch = (_shaped(buffer, len(image), len(text)) for buffer in self._numbers)
                torch.mm(scaled, text.T, out=logits)
                if self._bias is not None:
                    logits.add_(self._bias)
                positives = self._positives(rows, columns)
                yield Tile(rows, columns, image, text, logits, positives, (scratch[0], scratch[1]))

    def running(self, entries: int) -> RunningLogSumExp:
        """Log-sum-exps of this type on this device."""
        return RunningLogSumExp(entries, self._numbers[0])

    def vector(self, entries: int) -> Tensor:
        """Zeros `[entries]` of this type on this device."""
        return self._numbers[0].new_zeros(entries)

    def sum_over_positives(self, values: Tensor) -> Tensor:
        """Log-sum-exp of `values` `[N]` over the positives of each of this process's rows: `[B]`."""
        found = self.running(len(self.image))
        for rows in self.rows:
            for columns in self.columns:
                positives = self._positives(rows, columns)
                masked = _shaped(self._numbers[0], *positives.shape)
                masked.copy_(values[columns]).masked_fill_(positives.logical_not_(), -torch.inf)
                found.add(masked, rows, dim=1, scratch=masked)
        return found.value()

    def _positives(self, rows: slice, columns: slice) -> Tensor:
        count, width = rows.stop - rows.start, columns.stop - columns.start
        first = self.processes.own.start
        buffers = (_shaped(self._bits[0], count, width), _shaped(self._bits[1], count, width))
        return self.keys.mask(slice(first + rows.start, first + rows.stop), columns, buffers)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _shaped(buffer: Tensor, rows: int, columns: int) -> Tensor:
    """The beginning of a flat buffer as a contiguous matrix."""
    return buffer[: rows * columns].view(rows, columns)
