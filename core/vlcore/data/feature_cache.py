"""Features of frozen towers, encoded once for each image and text and read from disk ever after."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.decode import DecodeReport, OnBadImage, read_image_bytes
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.feature_store import FeatureCache, default_cache_root
from vlcore.data.progress import track
from vlcore.data.record import Record
from vlcore.data.stream import ImageStream, content_key, default_workers
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.types import ImagePreprocess

__all__ = [
    "CachedFeatures",
    "FeatureCache",
    "cache_image_features",
    "cache_text_features",
    "default_cache_root",
]

_Batch = TypeVar("_Batch")

_SAVE_SECONDS = 2.0  # a killed run loses the work of at most about this time …
_SAVE_ROWS = 4096  # … or this many rows
SORTED_TEXTS = 4096
"""New texts that are sorted by length with each other, and lie in that order on disk."""


@dataclass(frozen=True)
class CachedFeatures:
    """Features of the images or texts that could be used.

    Attributes:
        kept: their positions in the input, ascending; only the policy `skip` for bad images leaves gaps.
        keys: their keys in the cache.
        cache: that has them.
    """

    kept: list[int]
    keys: list[bytes]
    cache: FeatureCache

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """`[len(kept), W]` float32, read-only and mapped where they lie in this order on disk, else copied."""
        return self.cache.rows(self.keys)

    @cached_property
    def stream(self) -> FeatureRows:
        """The same rows, read from disk batch by batch."""
        return self.cache.stream(self.keys)


def cache_image_features(
    records: Sequence[Record],
    preprocess: ImagePreprocess,
    encode: Callable[[Tensor], Tensor],
    cache: FeatureCache,
    *,
    batch_size: int = 32,
    on_bad_image: OnBadImage = "raise",
    report: DecodeReport | None = None,
    progress: bool = False,
) -> CachedFeatures:
    """Features of the records' images; only contents that the cache has never seen pass through the tower.

    All files are hashed first, so equal files are encoded once and a renamed file not again. The features of a
    replaced image stand under a key of their own, never under that of the bad file.

    Args:
        records: in the order of the result.
        preprocess: of the tower.
        encode: the tower: `[B, 3, H, W]` uint8 to `[B, W]`; runs without gradients.
        cache: of this tower, by its fingerprint.
        batch_size: images per call of `encode`.
        on_bad_image: `raise`, `skip` or `replace`.
        report: counts the images decoded in this call, and every bad one.
        progress: show a progress bar.

    Raises:
        ImageDecodeError: for a bad image under the policy `raise`; what was encoded before it is kept.
        VlcoreError: if features are NaN or infinite.
    """
    keys = _content_keys(records, progress)
    first_seen: dict[bytes, int] = {}
    for position, key in enumerate(keys):
        if key is not None:
            first_seen.setdefault(key, position)
    # Unreadable files have no key; they go on to the stream, which applies the policy to them.
    todo = sorted(
        [first_seen[key] for key in cache.missing(first_seen)]
        + [position for position, key in enumerate(keys) if key is None]
    )
    report = DecodeReport() if report is None else report
    with track(len(todo), "encoding images", progress and bool(todo)) as advance:
        tried = set(todo)
        while todo:
            stream = ImageStream(
                ((records[position].id, records[position].image) for position in todo),
                preprocess,
                batch_size,
                on_bad_image=on_bad_image,
                report=report,
            )
            with _Saver(cache) as saver:
                for batch in stream:
                    for position, key in zip(batch.positions, batch.content_keys, strict=True):
                        # What was decoded counts, should the file have changed since it was hashed; grey has its key.
                        keys[todo[position]] = key
                    saver.add(batch.content_keys, _encoded(encode, batch.images, cache.width), batch.ids)
                    advance(len(batch.ids))
            # Copies of a bad file waited for its outcome; each is bad in its own right and is reported.
            todo = [
                position
                for position, key in enumerate(keys)
                if key is not None and key not in cache and position not in tried
            ]
            tried.update(todo)
    kept: list[int] = []
    kept_keys: list[bytes] = []
    for position, key in enumerate(keys):
        if key is not None and key in cache:
            kept.append(position)
            kept_keys.append(key)
    return CachedFeatures(kept, kept_keys, cache)


def cache_text_features(
    texts: Sequence[str],
    encode: Callable[[list[str]], Tensor],
    cache: FeatureCache,
    *,
    batch_size: int = 256,
    progress: bool = False,
) -> CachedFeatures:
    """Features of texts; each distinct text passes through the tower once.

    Some thousand new texts at a time are sorted by length and cut into batches, so that little padding is computed
    while texts that were neighbours stay near each other on disk.

    Args:
        texts: in the order of the result; may repeat.
        encode: the tower: B texts to `[B, W]`; runs without gradients.
        cache: of this tower, by its fingerprint.
        batch_size: texts per call of `encode`.
        progress: show a progress bar.

    Raises:
        VlcoreError: if features are NaN or infinite.
    """
    # surrogatepass: JSON may hold lone surrogates, and they are part of the exact text.
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    # The order of the texts and stable sorts: the same texts give the same batches, hence bit-equal features.
    new = cache.missing(keys)
    with track(len(new), "encoding texts", progress and bool(new)) as advance, _Saver(cache) as saver:
        for first in range(0, len(new), SORTED_TEXTS):
            todo = sorted(new[first : first + SORTED_TEXTS], key=lambda key: len(text_of[key]))
            for start in range(0, len(todo), batch_size):
                part = todo[start : start + batch_size]
                batch = [text_of[key] for key in part]
                saver.add(part, _encoded(encode, batch, cache.width), [repr(text[:60]) for text in batch])
                advance(len(part))
    return CachedFeatures(list(range(len(keys))), keys, cache)


def _content_keys(records: Sequence[Record], progress: bool) -> list[bytes | None]:
    """Content key of every image, None where the file cannot be read."""

    def key_of(record: Record) -> bytes | None:
        try:
            return content_key(read_image_bytes(record.image, record.id), record.image)
        except ImageDecodeError:
            return None

    keys: list[bytes | None] = []
    with (
        ThreadPoolExecutor(default_workers(), thread_name_prefix="vlcore-hash") as pool,
        track(len(records), "hashing images", progress) as advance,
    ):
        for start in range(0, len(records), 1024):
            part = list(pool.map(key_of, records[start : start + 1024]))
            keys += part
            advance(len(part))
    return keys


def _encoded(encode: Callable[[_Batch], Tensor], batch: _Batch, width: int) -> NDArray[np.float32]:
    with torch.inference_mode():
        features = encode(batch)
    if features.ndim != 2 or features.shape[1] != width:
        raise ConfigurationError(
            f"The tower returned features of shape {tuple(features.shape)}; the cache was opened for [B, {width}]."
        )
    rows: NDArray[np.float32] = features.to("cpu", torch.float32).numpy()
    return rows


class _Saver:
    """Collects rows and appends them in larger parts; what was collected is saved even when the run fails."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.last_save = time.monotonic()
        self._clear()

    def _clear(self) -> None:
        self.keys: list[bytes] = []
        self.names: list[str] = []
        self.features: list[NDArray[np.float32]] = []

    def add(self, keys: Iterable[bytes], features: NDArray[np.float32], names: Iterable[str]) -> None:
        self.keys += keys
        self.names += names
        self.features.append(features)
        if len(self.keys) >= _SAVE_ROWS or time.monotonic() - self.last_save >= _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        keys, features, names = self.keys, self.features, self.names
        self._clear()
        if keys:
            self.cache.append(keys, np.concatenate(features), names)
        self.last_save = time.monotonic()

    def __enter__(self) -> _Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()
