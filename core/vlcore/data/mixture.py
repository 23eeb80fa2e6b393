"""Several data sets in one run, unmixed: every batch is from one of them, drawn with its probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.batch_order import Draw, PairOrder
from vlcore.data.collate import PairCollate
from vlcore.data.pairs import Indices
from vlcore.types import PairBatch


class MixtureOrder:
    """Training batches of several data sets, each of one data set; all processes draw the same.

    A contrastive loss learns nothing from telling data sets apart, and a data set keeps its large batches
    (Uni-Perceiver v2, arXiv 2211.09808). Which one a step reads depends on seed, epoch and step alone. Each
    data set goes through its own passes, one batch whenever it is drawn: no pair is left out for good, a small data set
    comes round more often, and an epoch of the mixture begins where the last one ended.

    Args:
        orders: of every data set, by name.
        probabilities: of every data set, adding up to 1.
        steps: batches of an epoch.
        seed: of the drawing.
        repeats: every epoch is the first one, for a run that is to overfit a few batches.
    """

    def __init__(
        self,
        orders: Mapping[str, PairOrder],
        probabilities: Sequence[float],
        steps: int,
        seed: int = 0,
        repeats: bool = False,
    ) -> None:
        self.orders = list(orders.values())
        self.names = list(orders)
        self.probabilities = tuple(probabilities)
        self.steps = steps
        self.seed = seed
        self.repeats = repeats
        self._drawn_before: list[NDArray[np.int64]] = [np.zeros(len(self.orders), dtype=np.int64)]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.steps

    def draws(self, epoch: int) -> list[Draw]:
        """Each batch of this process."""
        epoch = 0 if self.repeats else epoch
        position = self._before(epoch).copy()
        passes: dict[int, tuple[int, list[Indices]]] = {}
        draws = []
        for dataset in self.choices(epoch).tolist():
            number, place = divmod(int(position[dataset]), len(self.orders[dataset]))
            if dataset not in passes or passes[dataset][0] != number:
                passes[dataset] = number, self.orders[dataset].batches(number)
            draws.append(Draw(number, passes[dataset][1][place], dataset))
            position[dataset] += 1
        return draws

    def choices(self, epoch: int) -> NDArray[np.int64]:
        """`[steps]` number of the data set of every step."""
        random = np.random.default_rng([self.seed, epoch, 2])
        return random.choice(len(self.orders), size=self.steps, p=self.probabilities)

    def facts(self) -> dict[str, Any]:
        """What the batches are computed from, besides the epoch."""
        parts = {
            f"{fact} of {name!r}": value
            for name, order in zip(self.names, self.orders, strict=True)
            for fact, value in order.facts().items()
        }
        return {
            "kind": "mixture",
            "data sets": self.names,
            "probabilities": list(self.probabilities),
            "steps of an epoch": self.steps,
            "seed": self.seed,
            **parts,
        }

    def _before(self, epoch: int) -> NDArray[np.int64]:
        """How many batches of each data set were drawn before an epoch."""
        while len(self._drawn_before) <= epoch:
            last = len(self._drawn_before) - 1
            drawn = np.bincount(self.choices(last), minlength=len(self.orders))
            self._drawn_before.append(self._drawn_before[-1] + drawn)
        return self._drawn_before[epoch]


class ChainedOrder:
    """Batches of several data sets one after the other, every pair once, for evaluation.

    Args:
        orders: of every data set that has any, by its number.
    """

    def __init__(self, orders: Mapping[int, PairOrder]) -> None:
        self.orders = dict(orders)

    def __len__(self) -> int:
        """Batches of all data sets."""
        return sum(map(len, self.orders.values()))

    def draws(self, epoch: int) -> list[Draw]:
        """Each batch of this process."""
        return [Draw(epoch, pairs, dataset) for dataset, order in self.orders.items() for pairs in order.batches(epoch)]

    def facts(self) -> dict[str, Any]:
        """What the batches are computed from."""
        return {"kind": "chain", "data sets": [order.facts() for order in self.orders.values()]}


class MixtureCollate:
    """Puts a batch together as its data set does.

    Args:
        parts: of every data set, by its number.
    """

    def __init__(self, parts: Mapping[int, PairCollate]) -> None:
        self.parts = dict(parts)

    def __call__(self, draw: Draw) -> PairBatch:
        """Tensors of a draw's pairs."""
        batch = self.parts[draw.dataset](draw)
        batch.dataset = draw.dataset
        return batch
