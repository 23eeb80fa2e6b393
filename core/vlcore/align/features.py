"""Frozen features of a data set with the pairs that connect them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.metrics.relevance import Relevance

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PairedFeatures:
    """N images and M texts as frozen towers see them.

    Attributes:
        image: `[N, Wi]` float32.
        text: `[M, Wt]` float32.
        image_of_text: `[M]` which image each text is about.
        text_key: `[M]` equal where normalised texts are equal.
        groups: `[N]` what a split keeps together.
    """

    image: NDArray[np.float32]
    text: NDArray[np.float32]
    image_of_text: Indices
    text_key: Indices
    groups: Sequence[str]

    def __len__(self) -> int:
        return len(self.image)

    def subset(self, images: Indices) -> PairedFeatures:
        """The given images, renumbered in that order, with their texts."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[images] = np.arange(len(images))
        texts = np.flatnonzero(place[self.image_of_text] >= 0)
        return PairedFeatures(
            image=self.image[images],
            text=self.text[texts],
            image_of_text=place[self.image_of_text[texts]],
            text_key=self.text_key[texts],
            groups=[self.groups[index] for index in images],
        )

    @cached_property
    def relevance(self) -> Relevance:
        """Each text belongs to its image."""
        return Relevance.from_pairs(
            self.image_of_text, np.arange(len(self.text)), images=len(self.image), texts=len(self.text)
        )

    @cached_property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Image features `[N, Wi]` and text features `[M, Wt]` as tensors."""
        # Copies: mapped features are read-only, which tensors cannot be.
        return torch.tensor(self.image), torch.tensor(self.text)


class Fold(NamedTuple):
    """Images that stay and images that are held out."""

    kept: Indices
    held_out: Indices


def group_folds(groups: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Split images into folds that keep groups whole.

    Args:
        groups: `[N]` group of each image.
        folds: how many parts, each held out once.
        seed: of the shuffle.

    Raises:
        ConfigurationError: if there are fewer groups than folds.
    """
    names = sorted(set(groups))
    if len(names) < folds:
        raise ConfigurationError(
            f"The training split has {len(names)} groups and {folds} parts are needed to choose on; choose fewer "
            f"folds, or check the column that groups rows."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of_name = {names[index]: place % folds for place, index in enumerate(order)}
    fold = np.array([fold_of_name[group] for group in groups])
    return [Fold(np.flatnonzero(fold != part), np.flatnonzero(fold == part)) for part in range(folds)]
