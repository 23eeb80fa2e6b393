"""Records as pairs of an image and a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.data.record import ImageRef, Record
from vlcore.data.text import text_key
from vlcore.errors import ConfigurationError

CaptionChoice = Literal["all", "sample", "two"]
"""What an epoch reads: every pair, or every image once with one or two of its captions."""

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
