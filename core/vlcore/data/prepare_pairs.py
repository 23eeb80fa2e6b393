"""Records to batches: what a frozen tower makes of them comes from the feature cache, the rest from files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.collate import Augmentation, Features, PairCollate, PixelReader, Tokenizer
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.feature_cache import FeatureCache, cache_image_features, cache_text_features
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.pairs import PairTable
from vlcore.data.record import ImageRef, Record
from vlcore.data.region_batch import RegionImages
from vlcore.data.regions import RegionReader
from vlcore.errors import ConfigurationError

_ENCODE_BATCH = 64
_STATISTICS_ROWS = 1024  # images (or texts) that stand for all where features are not cached
_MOST_ROWS = 65_536


class TowerTask(Protocol):
    """What the data module asks of the task that trains on it; `AlignmentTask` has it.

    Attributes:
        model: a dual encoder with `image_encoder` and `text_encoder`.
    """

    model: Any

    @property
    def needs_feature_statistics(self) -> bool:
        """True where a head standardises its features and has no statistics yet."""

    def set_feature_statistics(self, image: NDArray[np.float32], text: NDArray[np.float32]) -> None:
        """Take mean and deviation of training features `[N, Wi]` and `[M, Wt]` for heads that have none."""

    def image_features(self) -> Callable[[Tensor], Tensor]:
        """The image tower as it stands, `[B, 3, H, W]` uint8 to `[B, Wi]`, without gradients."""

    def text_features(self, texts: list[str]) -> Tensor:
        """The text tower as it stands, B texts to `[B, Wt]`, without gradients."""

    def tower_fingerprint(self, name: str) -> str:
        """Fingerprint of the frozen tower `image_encoder` or `text_encoder`."""


@dataclass(frozen=True)
class PairPreparation:
    """Turns records into the collation of their pairs.

    Attributes:
        task: whose towers read them.
        device: that encodes.
        cache_root: folder of the feature caches; None reads and encodes everything in every epoch.
        on_bad_image: `raise`, `skip` or `replace`.
        report: counts images.
        progress: show bars.
        region_reader: makes a reader of precomputed regions of a given width, for models that read those.
        seed: of augmentation.
    """

    task: TowerTask
    device: torch.device
    cache_root: Path | None
    on_bad_image: OnBadImage
    report: DecodeReport
    progress: bool
    region_reader: Callable[[int], RegionReader]
    seed: int = 0

    def __call__(self, records: Sequence[Record], augment: Augmentation | None = None) -> PairCollate:
        """Prepare the records that have texts; their images are augmented if that is asked for.

        Raises:
            ImageDecodeError: for a bad image that was to be encoded, under the policy `raise`.
            ConfigurationError: if every image is bad.
        """
        model = self.task.model
        captioned = [record for record in records if record.texts]
        images: Features | PixelReader | RegionImages
        if model.image_encoder is None:
            table = PairTable.from_records(captioned)
            images = RegionImages(captioned, self.region_reader(model.region_width))
        elif self.cache_root is not None and model.image_encoder.frozen and augment is None:
            cached = cache_image_features(
                captioned,
                model.image_encoder.preprocess,
                self._image_tower(),
                FeatureCache(self.cache_root, self.task.tower_fingerprint("image_encoder"), model.image_encoder.width),
                batch_size=_ENCODE_BATCH,
                on_bad_image=self.on_bad_image,
                report=self.report,
                progress=self.progress,
            )
            if not cached.kept:
                raise _nothing_readable([record.image for record in captioned])
            table = PairTable.from_records([captioned[position] for position in cached.kept])
            images = cached.stream
        else:
            table = PairTable.from_records(captioned)
            images = PixelReader(table, model.image_encoder.preprocess, augment, self.on_bad_image, self.seed)
        texts: Features | Tokenizer = model.text_encoder.tokenizer
        if self.cache_root is not None and model.text_encoder.frozen:
            model.text_encoder.to(self.device)
            texts = cache_text_features(
                table.texts,
                self.task.text_features,
                FeatureCache(self.cache_root, self.task.tower_fingerprint("text_encoder"), model.text_encoder.width),
                progress=self.progress,
            ).stream
        return PairCollate(table, images, texts)

    def sample_features(self, collate: PairCollate) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Image and text features of pairs, by the towers as they stand; of an even sample where there are many."""
        images, texts = collate.images, collate.texts
        assert not isinstance(images, RegionImages), "nothing is standardised of regions"
        if isinstance(images, np.ndarray | FeatureRows):
            image_features = images[_even_rows(len(images), _MOST_ROWS)]
        else:
            reader = PixelReader(collate.table, images.preprocess, on_bad_image="skip")
            rows = _even_rows(len(collate.table.images), _STATISTICS_ROWS)
            encode = self._image_tower()
            images_of = (reader(part)[0] for part in _batches(rows))
            parts = [encode(pixels) for pixels in images_of if len(pixels)]
            if not parts:
                raise _nothing_readable(collate.table.images)
            image_features = torch.cat(parts).cpu().float().numpy()
        if isinstance(texts, np.ndarray | FeatureRows):
            text_features = texts[_even_rows(len(texts), _MOST_ROWS)]
        else:
            self.task.model.text_encoder.to(self.device)
            rows = _even_rows(len(collate.table), _STATISTICS_ROWS)
            parts = [self.task.text_features([collate.table.texts[row] for row in part]) for part in _batches(rows)]
            text_features = torch.cat(parts).cpu().float().numpy()
        return image_features, text_features

    def _image_tower(self) -> Callable[[Tensor], Tensor]:
        self.task.model.image_encoder.to(self.device)
        return self.task.image_features()


def count_truncated(texts: Sequence[str], tokenizer: Tokenizer) -> int:
    """How many texts are longer than the tower reads.

    A token covers at least one byte of the text, so short texts need not be tokenised.
    """
    special = 4
    long = [text for text in texts if len(text.encode("utf-8", "surrogatepass")) + special > tokenizer.context_length]
    return sum(int(tokenizer(part).truncated.sum()) for part in (long[i : i + 1024] for i in range(0, len(long), 1024)))


def _nothing_readable(images: Sequence[ImageRef]) -> ConfigurationError:
    return ConfigurationError(
        f"None of {len(images):,} images can be read, the first one is {images[0]}. Check the files, and the folder "
        f"that they are looked for in (data.image_root)."
    )


def _even_rows(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _batches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + _ENCODE_BATCH] for start in range(0, len(rows), _ENCODE_BATCH)]
