"""A loader that goes on at the very next batch: its state is an epoch and how many batches of it were taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from vlcore.data.batch_order import BatchOrder, Draw
from vlcore.errors import CheckpointError


class ResumableLoader:
    """Batches in the order of a `BatchOrder`, put together in worker processes.

    It is no torch `DataLoader`, though it uses one, so that Lightning neither replaces its sampler in several
    processes nor takes its state for unknown. `state_dict` counts the batches that were handed out, not those that
    workers have prepared ahead.

    Args:
        order: the batches of every epoch.
        collate: makes a batch from a `Draw`.
        num_workers: processes that call `collate`; 0 calls it in this one.
        pin_memory: copy batches to page-locked memory.
        worker_init_fn: called once in every worker.
    """

    def __init__(
        self,
        order: BatchOrder,
        collate: Callable[[Draw], Any],
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        worker_init_fn: Callable[[int], None] | None = None,
    ) -> None:
        self.order = order
        self.epoch = 0
        self.batches_done = 0
        self._resumed_epoch: int | None = None
        # Public, for Lightning looks at it where there is a sampler.
        self.batch_sampler = _Draws(order)
        self._loader = DataLoader(
            _Passing(),
            batch_sampler=self.batch_sampler,  # type: ignore[arg-type]
            collate_fn=collate,  # type: ignore[arg-type]
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=worker_init_fn,
            # Workers take their seeds from a generator: one of its own leaves the global one untouched.
            generator=torch.Generator(),
        )

    @property
    def sampler(self) -> ResumableLoader:
        """What Lightning tells the epoch."""
        return self

    @property
    def _iterator(self) -> Any:
        """Lightning ends the worker processes through this."""
        return self._loader._iterator

    @_iterator.setter
    def _iterator(self, value: Any) -> None:
        self._loader._iterator = value

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes; Lightning does, before it asks for the first batch."""
        if epoch != self.epoch:
            self.epoch, self.batches_done = epoch, 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.order)

    def __iter__(self) -> Iterator[Any]:
        # A generator, so that epoch and state are read when the first batch is asked for, not before.
        start = self.batches_done if self._resumed_epoch == self.epoch else 0
        self._resumed_epoch = None
        self.batch_sampler.epoch, self.batch_sampler.start = self.epoch, start
        self.batches_done = start
        for batch in self._loader:
            self.batches_done += 1
            handed_over = [batch]
            del batch
            # Nothing here holds on to a batch while the next one is put together: large ones take much memory.
            yield handed_over.pop()

    def state_dict(self) -> dict[str, Any]:
        """Where the reading stands."""
        return {"epoch": self.epoch, "batches_done": self.batches_done, "facts": self.order.facts()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken.

        Raises:
            CheckpointError: if the batches would not be the same ones: on another number of processes, batch size,
                seed, or other data; or if the state is that of another kind of loader.
        """
        if not {"epoch", "batches_done", "facts"} <= state.keys():
            raise CheckpointError(
                f"The checkpoint was written by a run with another data loader (its state has {sorted(state)}), so "
                f"this one cannot go on at the same batch. Begin a new run from its weights."
            )
        found, wanted = self.order.facts(), state["facts"]
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise CheckpointError(
                    f"The run cannot go on exactly: the {name} was {wanted.get(name)!r} when the checkpoint was "
                    f"written and is {found.get(name)!r} now, so its batches would differ. Resume it with the "
                    f"settings and the data it was started with, or begin a new run from its weights."
                )
        self.epoch, self.batches_done = int(state["epoch"]), int(state["batches_done"])
        self._resumed_epoch = self.epoch


class _Draws:
    """The batch sampler: the rest of an epoch's batches."""

    def __init__(self, order: BatchOrder) -> None:
        self.order = order
        self.epoch = 0
        self.start = 0

    def __iter__(self) -> Iterator[Draw]:
        yield from self.order.draws(self.epoch)[self.start :]


class _Passing(Dataset[Draw]):
    """Hands a whole draw to the collation, which reads its pairs together."""

    def __getitems__(self, draw: Draw) -> Draw:
        return draw
