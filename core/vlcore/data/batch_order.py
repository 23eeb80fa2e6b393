"""Which pairs make the batches of an epoch: a pure function of seed and epoch, so a run can go on at any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vlcore.data.pairs import CaptionChoice, Indices, PairTable
from vlcore.errors import ConfigurationError

Arrangement = Literal["rows", "blocks", "lengths"]
"""How an epoch is shuffled: row by row; block by block, for features and archives on disk; or so that the texts of a
batch are of like length, for text towers that learn."""

BLOCK_PAIRS = 1024
"""Neighbouring pairs that stay together: 4 MiB of 1,024-d float32 features, read in one go."""
WINDOW_BLOCKS = 16
"""Blocks that are mixed with each other; batches are cut from 16,384 pairs, and larger ones from several windows."""
POOL_BATCHES = 50
"""Batches that are sorted by length among themselves; more of them would make neighbours less random."""


class Draw(NamedTuple):
    """One batch to be put together, wherever that happens.

    Attributes:
        epoch: random choices of a pair depend on it, and on nothing that a process has done before.
        pairs: `[B]` pair numbers.
        dataset: of a mixture, whose pairs they are.
    """

    epoch: int
    pairs: Indices
    dataset: int = 0


class BatchOrder(Protocol):
    """The batches of every epoch."""

    def __len__(self) -> int:
        """Batches of this process in an epoch."""

    def draws(self, epoch: int) -> Sequence[Draw]:
        """Each batch of this process; while training, equally many batches in every process."""

    def facts(self) -> dict[str, Any]:
        """Plain values that have to be the same when a run goes on, or the batches would differ."""


class PairOrder:
    """The pairs of a table in batches, the same for the same seed and epoch, each process its own part of each batch.

    While training (`shuffle`), a remainder that fills no batch of all processes is left out, another one in each
    epoch; fewer pairs than a batch make one smaller batch. Otherwise every pair comes exactly once, in order, in
    equally many batches of all processes, as even as can be.

    Args:
        table: whose pairs are read.
        batch_size: pairs per batch and process.
        captions: `all` pairs; or `sample` one caption per image anew in every epoch; or `two`, in one batch.
        shuffle: read in random order.
        arrangement: how it is random.
        lengths: `[M]` length of each text, for the arrangement `lengths`.
        seed: of order and choice.
        rank: of this process.
        world_size: number of processes.

    Raises:
        ConfigurationError: if the arrangement is by length and there are no lengths, the two captions of an image
            would not share a batch, or some process would have no pairs.
    """

    def __init__(
        self,
        table: PairTable,
        batch_size: int,
        captions: CaptionChoice = "all",
        *,
        shuffle: bool,
        arrangement: Arrangement = "rows",
        lengths: NDArray[np.int64] | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if shuffle and arrangement == "lengths" and lengths is None:
            raise ConfigurationError("Pairs can be arranged by the length of their texts only where lengths are given.")
        if captions == "two" and batch_size % 2:
            raise ConfigurationError(f"captions='two' with batch_size={batch_size}: choose an even number of pairs.")
        self.batch_size = batch_size
        self.captions = captions
        self.shuffle = shuffle
        self.arrangement = arrangement
        self.lengths = lengths
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._pairs = len(table)
        self._first = np.flatnonzero(np.diff(table.image_of_text, prepend=-1))
        self._content = _digest(table)
        if self._epoch_pairs < world_size:
            raise ConfigurationError(
                f"{self._epoch_pairs} pairs for {world_size} processes: some would have none. Use fewer processes, or "
                f"more data."
            )

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        size = self.batch_size * self.world_size
        return max(1, self._epoch_pairs // size) if self.shuffle else -(-self._epoch_pairs // size)

    def draws(self, epoch: int) -> list[Draw]:
        """Each batch of this process."""
        return [Draw(epoch, pairs) for pairs in self.batches(epoch)]

    def batches(self, epoch: int) -> list[Indices]:
        """Pair numbers `[B]` of each batch of this process."""
        if not self.shuffle:
            # As many in every process, so that none waits for the others for ever.
            return np.array_split(self._chosen(epoch)[self.rank :: self.world_size], len(self))
        return [self._share(batch) for batch in self._global_batches(epoch)]

    def facts(self) -> dict[str, Any]:
        """What the batches are computed from, besides the epoch."""
        return {
            "kind": "pairs",
            "pairs": self._pairs,
            "content of the pairs": self._content,
            "batch size": self.batch_size,
            "captions": self.captions,
            "arrangement": self.arrangement if self.shuffle else "in order",
            "seed": self.seed,
            "number of processes": self.world_size,
        }

    @property
    def _epoch_pairs(self) -> int:
        """Pairs of an epoch over all processes."""
        return self._pairs if self.captions == "all" else len(self._first) * self._together

    @property
    def _together(self) -> int:
        """Pairs that stay side by side."""
        return 2 if self.captions == "two" else 1

    def _chosen(self, epoch: int) -> Indices:
        """The pairs of an epoch in the order of the table."""
        if self.captions == "all":
            return np.arange(self._pairs)
        counts = np.diff(self._first, append=self._pairs)
        random = np.random.default_rng([self.seed, epoch, 1])
        place = (random.random(len(counts)) * counts).astype(np.int64)
        if self.captions == "sample":
            chosen: Indices = self._first + place
            return chosen
        # The other caption lies some steps further on, round the image's captions.
        step = 1 + (random.random(len(counts)) * (counts - 1)).astype(np.int64)
        both: Indices = (self._first[:, None] + np.stack([place, (place + step) % counts], axis=1)).ravel()
        return both

    def _global_batches(self, epoch: int) -> list[Indices]:
        """Batches of all processes together, each of the same size."""
        random, chosen = np.random.default_rng([self.seed, epoch]), self._chosen(epoch)
        units = chosen.reshape(-1, self._together)
        order = np.arange(len(units))
        order = _block_shuffle(order, random) if self.arrangement == "blocks" else random.permutation(order)
        pairs: Indices = units[order].ravel()
        size = self.batch_size * self.world_size
        if len(pairs) < size:
            unit = self.world_size * self._together
            return [pairs[: len(pairs) - len(pairs) % unit]]
        pairs = pairs[: len(pairs) - len(pairs) % size]
        if self.arrangement != "lengths" or self.lengths is None:
            return list(pairs.reshape(-1, size))
        pool = POOL_BATCHES * size
        pools = (pairs[start : start + pool] for start in range(0, len(pairs), pool))
        by_length = np.concatenate([self._sorted_by_length(part, self.lengths) for part in pools])
        batches = by_length.reshape(-1, size)
        return list(batches[random.permutation(len(batches))])

    def _sorted_by_length(self, pairs: Indices, lengths: NDArray[np.int64]) -> Indices:
        units = pairs.reshape(-1, self._together)
        ordered: Indices = units[np.argsort(lengths[units].max(axis=1), kind="stable")].ravel()
        return ordered

    def _share(self, batch: Indices) -> Indices:
        """What of a batch this process reads."""
        if self.arrangement == "lengths":
            # The batch is sorted by length: in steps, every process gets short and long ones alike.
            return batch.reshape(-1, self._together)[self.rank :: self.world_size].ravel()
        count = len(batch) // self.world_size
        # The order within a batch says nothing to a contrastive loss; ascending is how the disk reads fastest.
        return np.sort(batch[self.rank * count : (self.rank + 1) * count])


def _block_shuffle(pairs: Indices, random: np.random.Generator) -> Indices:
    """Shuffle blocks of neighbours, then rows within windows of a few blocks."""
    blocks = [pairs[start : start + BLOCK_PAIRS] for start in range(0, len(pairs), BLOCK_PAIRS)]
    order = random.permutation(len(blocks))
    windows = (order[start : start + WINDOW_BLOCKS] for start in range(0, len(order), WINDOW_BLOCKS))
    return np.concatenate(
        [random.permutation(np.concatenate([blocks[place] for place in window])) for window in windows]
    )


def _digest(table: PairTable) -> str:
    """Changes with the records, the number and order of their texts, and every letter of them."""
    digest = hashlib.sha256(np.ascontiguousarray(table.image_of_text).tobytes())
    digest.update(np.ascontiguousarray(table.text_key).tobytes())
    for text in (*table.ids, *table.texts):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]
