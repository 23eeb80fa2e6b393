"""Records as pairs of an image and a text, and the order in which an epoch reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, DistributedSampler

from vlcore.data.record import ImageRef, Record
from vlcore.data.text import text_key
from vlcore.errors import ConfigurationError

CaptionChoice = Literal["all", "sample"]
"""What an epoch reads: every pair, or every image once with one of its captions."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PairTable:
    """N images with M texts; text i and its image are pair i.

    Attributes:
        ids: of the N records.
        images: of the N records.
        texts: M texts, those of one image one after the other.
        image_of_text: `[M]` row of the image each text belongs to.
        text_key: `[M]` equal where normalised texts are equal.
    """

    ids: list[str]
    images: list[ImageRef]
    texts: list[str]
    image_of_text: Indices
    text_key: Indices

    @classmethod
    def from_records(cls, records: Sequence[Record]) -> PairTable:
        """Take the records that have texts.

        Raises:
            ConfigurationError: if none has.
        """
        captioned = [record for record in records if record.texts]
        if not captioned:
            raise ConfigurationError(
                f"None of {len(records)} records has a text. Give them texts; without any only `vlcore index` works."
            )
        texts = [text.text for record in captioned for text in record.texts]
        counts = [len(record.texts) for record in captioned]
        return cls(
            ids=[record.id for record in captioned],
            images=[record.image for record in captioned],
            texts=texts,
            image_of_text=np.repeat(np.arange(len(captioned), dtype=np.int64), counts),
            text_key=np.fromiter(map(text_key, texts), dtype=np.int64, count=len(texts)),
        )

    def __len__(self) -> int:
        return len(self.texts)


class PairDataset(Dataset[int]):
    """Hands the numbers of a batch's pairs to the collation, which reads all of them together.

    Args:
        pairs: M.
    """

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return self.pairs

    def __getitem__(self, index: int) -> int:
        return index

    def __getitems__(self, indices: list[int]) -> list[int]:
        """A whole batch at once; the data loader prefers this to one call per pair."""
        return indices


class PairSampler(DistributedSampler[int]):
    """The pairs of an epoch, the same for the same seed and epoch, each process its own part.

    Processes get equally many pairs when training (a remainder is left out, another one in the next epoch) and every
    pair exactly once otherwise. Lightning sets the epoch.

    Args:
        table: whose pairs are read.
        captions: `all` pairs, or `sample` one caption per image anew in every epoch.
        shuffle: read in random order.
        seed: of order and choice.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        table: PairTable,
        captions: CaptionChoice = "all",
        *,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        # A DistributedSampler, because Lightning leaves those alone; what it yields is decided below.
        super().__init__(PairDataset(len(table)), num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)
        self.captions = captions
        self.image_of_text = table.image_of_text

    def __iter__(self) -> Iterator[int]:
        pairs = self.epoch_pairs()
        return iter(pairs[self.rank : self._even(len(pairs)) : self.num_replicas].tolist())

    def __len__(self) -> int:
        pairs = len(self.image_of_text) if self.captions == "all" else int(self.image_of_text[-1]) + 1
        return len(range(self.rank, self._even(pairs), self.num_replicas))

    def epoch_pairs(self) -> Indices:
        """Pairs of the current epoch over all processes."""
        random = np.random.default_rng([self.seed, self.epoch])
        if self.captions == "all":
            pairs = np.arange(len(self.image_of_text))
        else:
            counts = np.bincount(self.image_of_text)
            first = np.cumsum(counts) - counts
            pairs = first + (random.random(len(counts)) * counts).astype(np.int64)
        return random.permutation(pairs) if self.shuffle else pairs

    def _even(self, pairs: int) -> int:
        """How many pairs are read in all."""
        return pairs - pairs % self.num_replicas if self.shuffle else pairs
