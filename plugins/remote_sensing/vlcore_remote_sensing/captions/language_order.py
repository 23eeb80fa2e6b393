"""Which language each image of an epoch is described in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.batch_order import PairOrder
from vlcore.data.collate import PairCollate
from vlcore.data.pairs import Indices


class LanguageOrder(PairOrder):
    """Every image once in an epoch, with one caption: first a language is drawn, then one of its captions.

    Drawing among captions instead would favour the languages in which an image has many. The draw depends on seed,
    epoch and image alone, so a run that goes on in the middle of an epoch reads the captions it would have read.

    Args:
        order: of the same pairs with one caption per image, whose batches, processes and seed are taken over.
        collate: of the pairs.
        languages: `[M]` language of each text of the table.
        weights: how often each language is drawn, in any unit; among those that an image has, their shares stay.
    """

    def __init__(
        self, order: PairOrder, collate: PairCollate, languages: Sequence[str], weights: dict[str, float]
    ) -> None:
        super().__init__(
            collate.table,
            order.batch_size,
            "sample",
            shuffle=order.shuffle,
            arrangement=order.arrangement,
            lengths=order.lengths,
            seed=order.seed,
            rank=order.rank,
            world_size=order.world_size,
        )
        self.weights = weights
        names = list(weights)
        self._language = np.array([names.index(language) for language in languages], dtype=np.int64)  # [M]
        self._image = collate.table.image_of_text
        spoken = np.zeros((int(self._image[-1]) + 1, len(names)), dtype=bool)
        spoken[self._image, self._language] = True
        self._log_weights = np.where(spoken, np.log(np.array(list(weights.values()))), -np.inf)  # [N, languages]

    def facts(self) -> dict[str, Any]:
        """What the batches are computed from, besides the epoch."""
        return {**super().facts(), "kind": "pairs by language", "languages": dict(self.weights)}

    def _chosen(self, epoch: int) -> Indices:
        random = np.random.default_rng([self.seed, epoch, 1])
        # The largest of log weight plus Gumbel noise falls on each language with its share.
        language = (self._log_weights + random.gumbel(size=self._log_weights.shape)).argmax(axis=1)
        lots = random.random(len(self._language))
        lots[self._language != language[self._image]] = -1.0
        chosen: Indices = _first_largest(lots, self._image)
        return chosen


def _first_largest(values: NDArray[np.float64], image: Indices) -> Indices:
    """Place of the largest value of each image, `[N]`; the values of an image stand side by side."""
    # Sorted by image and then by value, the last one of each image is its largest.
    order = np.lexsort((values, image))
    last = np.flatnonzero(np.diff(image[order], append=-1))
    return order[last]
