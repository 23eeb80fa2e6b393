"""What an evaluation needs of a manifest: images, their captions, labels and units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.record import ImageRef, Record
from vlcore.data.text import text_key
from vlcore.errors import EvaluationError
from vlcore.metrics.bootstrap import unit_index
from vlcore.metrics.relevance import Relevance, extend_by_duplicates
from vlcore.retrieval.rows import ImageEmbedder, embed_records, gathered

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest


@dataclass
class EvaluationSet:
    """N images and M captions in the order of the manifest; records whose image was skipped are not in it.

    Attributes:
        ids: `[N]` of the records.
        images: `[N]` where the pixels are.
        captions: `[M]` texts.
        caption_image: `[M]` image of each caption.
        labels: `[N]` value of the label, or None.
        groups: `[N]` patient, scene, …, or None.
        contents: `[N]` hash of the image's bytes; equal for equal images.
    """

    ids: list[str] = field(default_factory=list)
    images: list[ImageRef] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    caption_image: list[int] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    def add(self, record: Record, content: bytes, labels_key: str) -> None:
        """Append a record."""
        self.caption_image.extend([len(self.ids)] * len(record.texts))
        self.captions.extend(text.text for text in record.texts)
        self.ids.append(record.id)
        self.images.append(record.image)
        self.labels.append(record.labels.get(labels_key))
        self.groups.append(record.group)
        self.contents.append(content)

    def relevance(self) -> Relevance:
        """Captions belong to their own image."""
        return Relevance.from_pairs(
            np.array(self.caption_image, dtype=np.int64),
            np.arange(len(self.captions)),
            images=len(self.ids),
            texts=len(self.captions),
        )

    def tolerant_relevance(self) -> Relevance:
        """Captions that say the same, and images with equal bytes, stand for each other."""
        return extend_by_duplicates(self.relevance(), self.text_keys(), unit_index(self.contents))

    def text_keys(self) -> NDArray[np.int64]:
        """`[M]` equal where the normalised captions are equal."""
        return np.array([text_key(caption) for caption in self.captions], dtype=np.int64)

    @property
    def grouped(self) -> bool:
        """True where every record has a group, which is then the unit of the bootstrap."""
        return bool(self.groups) and all(group is not None for group in self.groups)

    def units(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bootstrap unit of each image `[N]` and caption `[M]`: the group where there are groups, else the image."""
        image = unit_index([str(group) for group in self.groups]) if self.grouped else np.arange(len(self.ids))
        return image, image[np.array(self.caption_image, dtype=np.int64)]


def select(manifest: Iterable[Record], split: str | None) -> Iterator[Record]:
    """Records of a split; all of them for None.

    Raises:
        EvaluationError: if there is none; the splits that exist are named.
    """
    seen: set[str | None] = set()
    found = False
    for record in manifest:
        if split is None or record.split == split:
            found = True
            yield record
        elif len(seen) < 20:
            seen.add(record.split)
    if not found:
        names = ", ".join(sorted("(none)" if name is None else repr(name) for name in seen)) or "none: it is empty"
        raise EvaluationError(
            f"No record has the split {split!r}. Splits of the manifest: {names}. Choose one of them."
        )


def embed_set(
    model: ImageEmbedder,
    manifest: Manifest,
    split: str | None,
    labels_key: str,
    *,
    batch_size: int,
    on_bad_image: OnBadImage,
    report: DecodeReport,
    advance: Callable[[int], None],
) -> tuple[EvaluationSet, NDArray[np.float32]]:
    """Read and embed the images of a split; equal images get equal vectors, whatever batch they were in."""
    chosen, vectors = EvaluationSet(), []
    first: dict[bytes, int] = {}
    stream = embed_records(
        model, select(manifest, split), batch_size=batch_size, on_bad_image=on_bad_image, report=report
    )
    for batch in gathered(stream, model.embedding_size, advance):
        for record, content in zip(batch.records, batch.contents, strict=True):
            first.setdefault(content, len(chosen.ids))
            chosen.add(record, content, labels_key)
        vectors.append(batch.vectors)
    if not vectors:
        raise EvaluationError("No image could be read, so there is nothing to score. " + report.summary())
    image = np.concatenate(vectors)
    same: NDArray[np.float32] = image[[first[content] for content in chosen.contents]]
    return chosen, same
