"""Which texts are right for which images, many to many, without an N x M table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlcore.errors import EvaluationError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Relevance:
    """The correct pairs of N images and M texts.

    Items that stand for the same thing share a group; pairs are kept between groups, so that a caption which
    ten thousand images share costs ten thousand numbers and not a hundred million.

    Attributes:
        image_group: `[N]` group of each image.
        text_group: `[M]` group of each text.
        codes: `[G]` sorted, unique `image_group * (max text group + 1) + text_group` of the correct group pairs.
    """

    image_group: Indices
    text_group: Indices
    codes: Indices

    @classmethod
    def from_pairs(cls, image_index: ArrayLike, text_index: ArrayLike, *, images: int, texts: int) -> Relevance:
        """Build from P index pairs: several texts may belong to an image and several images to a text.

        Args:
            image_index: `[P]` image of each pair.
            text_index: `[P]` text of each pair.
            images: N.
            texts: M.

        Raises:
            EvaluationError: if there are no pairs or an index is out of range.
        """
        image, text = _indices(image_index), _indices(text_index)
        if image.shape != text.shape or image.ndim != 1:
            raise EvaluationError(
                f"The two sides of the pairs have shapes {image.shape} and {text.shape}; give two lists of one length."
            )
        if image.size == 0:
            raise EvaluationError("There is no image-text pair to score: the set has no captions. Add texts to it.")
        for name, index, count in (("image", image, images), ("text", text, texts)):
            wrong = (index < 0) | (index >= count)
            if wrong.any():
                place = int(np.flatnonzero(wrong)[0])
                raise EvaluationError(
                    f"Pair {place} names {name} {int(index[place])}, but there are {count} {name}s, counted from 0."
                )
        return cls(np.arange(images), np.arange(texts), np.unique(image * texts + text))

    @property
    def images(self) -> int:
        """N."""
        return len(self.image_group)

    @property
    def texts(self) -> int:
        """M."""
        return len(self.text_group)

    @property
    def _base(self) -> int:
        return int(self.text_group.max()) + 1

    def contains(self, image_index: Indices, text_index: Indices) -> NDArray[np.bool_]:
        """Tell for each pair `(image_index[i], text_index[i])` whether it is correct, `[P]`."""
        codes = self.image_group[image_index] * self._base + self.text_group[text_index]
        place = np.searchsorted(self.codes, codes)
        found: NDArray[np.bool_] = self.codes[np.minimum(place, len(self.codes) - 1)] == codes
        return found

    def positives(self) -> tuple[Indices, Indices]:
        """Number of correct texts per image `[N]` and of correct images per text `[M]`."""
        image, text = np.divmod(self.codes, self._base)
        texts_in = np.bincount(self.text_group, minlength=self._base)
        images_in = np.bincount(self.image_group, minlength=int(image.max()) + 1)
        per_image_group = np.bincount(image, weights=texts_in[text], minlength=len(images_in))
        per_text_group = np.bincount(text, weights=images_in[image], minlength=self._base)
        return per_image_group[self.image_group].astype(np.int64), per_text_group[self.text_group].astype(np.int64)

    def pairs(self, chunk: int = 1 << 18) -> Iterator[tuple[Indices, Indices]]:
        """Yield all correct pairs as `(image_index, text_index)`, at most `chunk` at a time."""
        image, text = np.divmod(self.codes, self._base)
        image_order, image_start, image_size = _members(self.image_group)
        text_order, text_start, text_size = _members(self.text_group)
        ends = np.cumsum(image_size[image] * text_size[text])
        for start in range(0, int(ends[-1]), chunk):
            flat = np.arange(start, min(start + chunk, int(ends[-1])))
            pair = np.searchsorted(ends, flat, side="right")
            g, h = image[pair], text[pair]
            offset = flat - (ends[pair] - image_size[g] * text_size[h])
            i, t = np.divmod(offset, text_size[h])
            yield image_order[image_start[g] + i], text_order[text_start[h] + t]

    def swapped(self) -> Relevance:
        """The same pairs with texts in the place of images."""
        image, text = np.divmod(self.codes, self._base)
        return Relevance(self.text_group, self.image_group, np.unique(text * (int(self.image_group.max()) + 1) + image))


def extend_by_duplicates(
    relevance: Relevance, text_key: ArrayLike | None = None, image_key: ArrayLike | None = None
) -> Relevance:
    """Let items that are the same stand for each other: a caption is then right for its twins' images too.

    Args:
        relevance: the pairs as annotated.
        text_key: `[M]` equal where two captions say the same (`vlcore.data.text.text_key`).
        image_key: `[N]` equal where two images are the same; left out, images stay apart.

    Raises:
        EvaluationError: if a key list has another length than the items.
    """
    image_group, text_group = relevance.image_group, relevance.text_group
    if text_key is not None:
        text_group = _merged(text_group, text_key, "text_key")
    if image_key is not None:
        image_group = _merged(image_group, image_key, "image_key")
    base = int(text_group.max()) + 1
    codes = [np.unique(image_group[image] * base + text_group[text]) for image, text in relevance.pairs()]
    return Relevance(image_group, text_group, np.unique(np.concatenate(codes)))


def _merged(group: Indices, key: ArrayLike, name: str) -> Indices:
    keys = np.asarray(key)
    if keys.shape != group.shape:
        raise EvaluationError(f"{name} has shape {keys.shape} for {len(group)} items; give one key per item.")
    merged: Indices = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return merged


def _members(group: Indices) -> tuple[Indices, Indices, Indices]:
    """Items in the order of their groups, with start and size of each group."""
    size = np.bincount(group)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    return np.argsort(group, kind="stable"), start.astype(np.int64), size.astype(np.int64)


def _indices(values: ArrayLike) -> Indices:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise EvaluationError(f"Indices must be whole numbers, not {array.dtype}.")
    return array.astype(np.int64)
