"""The rows of one process among those of all: gathering them, and sums and maxima over the processes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_KEYS = ("no keys", "image_index", "text_key", "image_index and text_key")


@dataclass(frozen=True)
class ProcessRows:
    """How many rows each process of a group has; a single process without a group has all of them.

    Every method runs the same collectives on every process, whatever the data, so no process waits for another that
    took a different turn.

    Args:
        group: processes that share the batch; None for this process alone.
        sizes: rows of each process, in the order of ranks.
        rank: of this process in the group.
    """

    group: dist.ProcessGroup | None
    sizes: tuple[int, ...]
    rank: int

    @classmethod
    def exchange(cls, embeddings: Tensor, keys: int, group: dist.ProcessGroup | None) -> ProcessRows:
        """Tell all processes how many rows this one has.

        Args:
            embeddings: `[B, D]` of this process.
            keys: which keys its rows carry: 1 for image_index plus 2 for text_key.
            group: processes that share the batch.

        Raises:
            ValueError: on every process alike, if no process has rows or they differ in width, type or keys.
        """
        if group is None:
            return cls(None, (len(embeddings),), 0)
        described = [len(embeddings), embeddings.shape[1], _TYPES.index(embeddings.dtype), keys]
        own = torch.tensor([described], device=embeddings.device)
        found = own.new_empty(dist.get_world_size(group), len(described))
        dist.all_gather(list(torch.split(found, 1)), own, group=group)
        # The one wait for the device in a step: shapes depend on these numbers, and uneven sizes are unknown before.
        table: list[list[int]] = found.tolist()
        sizes = tuple(row[0] for row in table)
        if len({tuple(row[1:]) for row in table}) > 1:
            ranks = "; ".join(f"rank {rank}: {_describe(*row[1:])}" for rank, row in enumerate(table))
            raise ValueError(
                f"Processes pass different embeddings to the loss ({ranks}): use the same model, precision and keys on "
                f"every rank."
            )
        if not any(sizes):
            raise ValueError("No process has a pair in this batch: the loss needs at least one pair.")
        return cls(group, sizes, dist.get_rank(group))

    @property
    def total(self) -> int:
        """Rows of all processes."""
        return sum(self.sizes)

    @property
    def own(self) -> slice:
        """Where the rows of this process lie among all."""
        start = sum(self.sizes[: self.rank])
        return slice(start, start + self.sizes[self.rank])

    def gather(self, rows: Tensor) -> Tensor:
        """Rows `[B, ...]` of every process, one after the other: `[N, ...]`, without gradient."""
        if self.group is None:
            return rows
        longest = max(self.sizes)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        found = rows.new_empty(longest * len(self.sizes), *rows.shape[1:])
        dist.all_gather(list(torch.split(found, longest)), padded, group=self.group)
        if min(self.sizes) == longest:
            return found
        return torch.cat([part[:size] for part, size in zip(torch.split(found, longest), self.sizes, strict=True)])

    def add_up(self, values: Tensor) -> Tensor:
        """Replace `values` by its sum over the processes."""
        if self.group is not None:
            dist.all_reduce(values, dist.ReduceOp.SUM, group=self.group)
        return values

    def take_maximum(self, values: Tensor) -> Tensor:
        """Replace `values` by its maximum over the processes."""
        if self.group is not None:
            dist.all_reduce(values, dist.ReduceOp.MAX, group=self.group)
        return values


def _describe(width: int, kind: int, keys: int) -> str:
    return f"{width} numbers of {_TYPES[kind]} with {_KEYS[keys]}"
