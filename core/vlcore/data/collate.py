"""From the numbers of a batch's pairs to its tensors: cached features are gathered, files are read, texts tokenised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.batch_order import Draw
from vlcore.data.decode import OnBadImage, decode_image
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.pairs import Indices, PairTable
from vlcore.data.random_state import seeded
from vlcore.data.region_batch import RegionImages
from vlcore.data.stream import GREY
from vlcore.data.transform import apply_preprocess
from vlcore.errors import ImageDecodeError
from vlcore.types import ImagePreprocess, PairBatch, TokenBatch

Features = NDArray[np.float32] | FeatureRows
"""`[N, W]` in memory, or on disk."""

Augmentation = Callable[[Tensor], Tensor]
"""Changes an image `[3, H, W]` uint8 before it is brought to size."""


class Tokenizer(Protocol):
    """Texts to padded ids, as every text tower brings it."""

    context_length: int

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenise, pad to the longest of the batch."""


@dataclass
class LoadedPairBatch(PairBatch):
    """A batch whose images were read from files, with what became of them.

    The counts travel with the batch, for what a worker process counts the main process never sees.

    Attributes:
        decoded: images that were decoded for it.
        bad: id, place and reason of those that could not be.
    """

    decoded: int = 0
    bad: tuple[tuple[str, str, str], ...] = ()

    def pairs(self) -> PairBatch:
        """The batch alone."""
        return PairBatch(**{field.name: getattr(self, field.name) for field in fields(PairBatch)})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairBatch:
        """Copy every tensor to a device."""
        return self.pairs().to(device, non_blocking)

    def pin_memory(self) -> PairBatch:
        """Copy every tensor to page-locked memory; the counts stay."""
        pinned = vars(self.pairs().pin_memory())
        return LoadedPairBatch(**pinned, decoded=self.decoded, bad=self.bad)


class PixelReader:
    """Images of a batch, decoded and brought to size; never raises, so that a worker process can report.

    Args:
        ids: of the records.
        images: of the records.
        preprocess: of the tower.
        augment: applied to the whole image, before the tower's geometry; an image that leaves it in the tower's size
            is taken as it is. Its random numbers depend on seed, epoch and pair alone.
        seed: of the augmentation.
        on_bad_image: `replace` puts a grey image in place of a bad one; otherwise its pairs are left out.
    """

    def __init__(
        self,
        table: PairTable,
        preprocess: ImagePreprocess,
        augment: Augmentation | None = None,
        on_bad_image: OnBadImage = "raise",
        seed: int = 0,
    ) -> None:
        self.table = table
        self.preprocess = preprocess
        self.augment = augment
        self.on_bad_image = on_bad_image
        self.seed = seed

    def __call__(
        self, rows: Indices, draw: Draw | None = None
    ) -> tuple[Tensor, NDArray[np.bool_], int, list[ImageDecodeError]]:
        """Read the images `[B]`; an image that occurs several times is decoded once.

        Args:
            rows: of the images.
            draw: what they are read for: epoch, and pairs `[B]`. None: nothing is augmented.

        Returns:
            The K usable images `[K, 3, H, W]` uint8, which rows they are `[B]`, how many were decoded, and the errors.
        """
        decoded: dict[int, NDArray[np.uint8] | None] = {}
        errors: list[ImageDecodeError] = []
        for row in dict.fromkeys(rows.tolist()):
            try:
                decoded[row] = decode_image(self.table.images[row], sample_id=self.table.ids[row])
            except ImageDecodeError as error:
                errors.append(error)
                decoded[row] = None
        usable = np.array([decoded[row] is not None or self.on_bad_image == "replace" for row in rows.tolist()])
        ready: dict[int, Tensor] = {}
        images = []
        for place in np.flatnonzero(usable).tolist():
            row = int(rows[place])
            image = decoded[row]
            if self.augment is not None and draw is not None and image is not None:
                images.append(self._augmented(image, self.augment, draw.epoch, int(draw.pairs[place])))
                continue
            if row not in ready:
                ready[row] = self._prepare(image)
            images.append(ready[row])
        empty = torch.empty((0, 3, *self.preprocess.size), dtype=torch.uint8)
        return torch.stack(images) if images else empty, usable, len(decoded) - len(errors), errors

    def _prepare(self, image: NDArray[np.uint8] | None) -> Tensor:
        if image is None:
            return torch.full((3, *self.preprocess.size), GREY, dtype=torch.uint8)
        return apply_preprocess(image, self.preprocess)

    def _augmented(self, image: NDArray[np.uint8], augment: Augmentation, epoch: int, pair: int) -> Tensor:
        with seeded(self.seed, epoch, pair):
            changed = augment(torch.from_numpy(image).permute(2, 0, 1))
        if tuple(changed.shape[1:]) == self.preprocess.size:
            return changed
        return apply_preprocess(np.ascontiguousarray(changed.permute(1, 2, 0).numpy()), self.preprocess)


class PairCollate:
    """Makes batches of one table's pairs.

    Args:
        table: the pairs.
        images: `[N, Wi]` cached features, a reader of files, or precomputed regions.
        texts: `[M, Wt]` cached features, or a tokeniser.
    """

    def __init__(
        self, table: PairTable, images: Features | PixelReader | RegionImages, texts: Features | Tokenizer
    ) -> None:
        self.table = table
        self.images = images
        self.texts = texts

    @property
    def cached(self) -> bool:
        """True where both sides are cached, so that a batch is two gathers and needs no worker process."""
        return isinstance(self.images, np.ndarray | FeatureRows) and isinstance(self.texts, np.ndarray | FeatureRows)

    @property
    def reads_files(self) -> bool:
        """True where images or regions are read from files of their own, which worker processes do."""
        return isinstance(self.images, PixelReader | RegionImages)

    def __call__(self, draw: Draw) -> PairBatch:
        """Put the tensors of a draw's pairs together."""
        text_row = draw.pairs
        if isinstance(self.images, np.ndarray | FeatureRows):
            batch = PairBatch(*self._keys(text_row))
            batch.image_features = torch.from_numpy(self.images[batch.image_index.numpy()])
        elif isinstance(self.images, RegionImages):
            batch = PairBatch(*self._keys(text_row))
            batch.regions = self.images(batch.image_index.numpy())
        else:
            images, usable, decoded, errors = self.images(self.table.image_of_text[text_row], draw)
            text_row = text_row[usable]
            bad = tuple((error.sample_id, error.place, error.reason) for error in errors)
            batch = LoadedPairBatch(*self._keys(text_row), images=images, decoded=decoded, bad=bad)
        if isinstance(self.texts, np.ndarray | FeatureRows):
            batch.text_features = torch.from_numpy(self.texts[text_row])
        else:
            tokens = self.texts([self.table.texts[row] for row in text_row.tolist()])
            batch.input_ids, batch.attention_mask = tokens.input_ids, tokens.attention_mask
            batch.text_lengths = tuple(tokens.attention_mask.sum(dim=1).tolist())
        return batch

    def _keys(self, text_row: Indices) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.table.image_of_text[text_row]), torch.from_numpy(self.table.text_key[text_row])
