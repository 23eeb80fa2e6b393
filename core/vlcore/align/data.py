"""A manifest as alignment needs it: parts of the data set, their frozen features, and what was found in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlcore.align.features import PairedFeatures
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.feature_cache import cache_image_features, cache_text_features
from vlcore.data.feature_store import FeatureCache, default_cache_root
from vlcore.data.record import Record
from vlcore.data.splits import assign_splits
from vlcore.data.text import text_key
from vlcore.encoders import build_image_encoder, build_text_encoder
from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.encoders.inference import ImageInference
from vlcore.errors import ConfigurationError
from vlcore.retrieval.precision import best_device

TRAIN, TEST = "train", "test"
GENERATED = {TRAIN: 0.8, TEST: 0.2}
"""Shares of a manifest that names no splits."""


class Towers:
    """Two frozen towers with the folder of their cached features.

    Args:
        image: image tower, on its device.
        text: text tower, on its device.
        cache: folder of all caches.
    """

    def __init__(self, image: ImageEncoder, text: TextEncoder, cache: Path) -> None:
        self.image = image
        self.text = text
        self.encode_images = ImageInference(image)
        self.image_cache = FeatureCache(cache, image.fingerprint(), image.width)
        self.text_cache = FeatureCache(cache, text.fingerprint(), text.width)

    @classmethod
    def build(
        cls, image_encoder: str, text_encoder: str, cache: Path | None = None, device: str | None = None
    ) -> Towers:
        """Towers by name.

        Args:
            image_encoder: name of the image tower.
            text_encoder: name of the text tower.
            cache: folder of cached features; `$VLCORE_CACHE` or `~/.cache/vlcore` if left out.
            device: chosen if left out.
        """
        chosen = best_device() if device is None else torch.device(device)
        image, text = build_image_encoder(image_encoder), build_text_encoder(text_encoder)
        return cls(image.to(chosen).eval(), text.to(chosen).eval(), cache or default_cache_root())

    @torch.inference_mode()
    def encode_texts(self, texts: list[str]) -> torch.Tensor:
        """Pooled features `[B, Wt]`."""
        device = next(self.text.parameters()).device
        batch = self.text.tokenizer(texts)
        return self.text.pool(batch.input_ids.to(device), batch.attention_mask.to(device))


@dataclass(frozen=True)
class EncodedRecords:
    """Records of one split whose images could be read, with their features."""

    records: list[Record]
    features: PairedFeatures


def with_splits(records: Sequence[Record], seed: int) -> tuple[list[Record], bool]:
    """Records with a split each, and whether vlcore assigned it.

    Raises:
        ConfigurationError: if only some records name a split.
    """
    missing = sum(record.split is None for record in records)
    if not missing:
        return list(records), False
    if missing != len(records):
        raise ConfigurationError(
            f"{missing} of {len(records)} records name no split. Give every record one, or none of them: then "
            f"vlcore assigns {GENERATED} by group."
        )
    names = assign_splits(records, GENERATED, seed=seed)
    return [replace(record, split=name) for record, name in zip(records, names, strict=True)], True


def encode_records(
    records: Sequence[Record],
    towers: Towers,
    *,
    batch_size: int,
    on_bad_image: OnBadImage,
    report: DecodeReport,
    progress: bool,
) -> EncodedRecords:
    """Features of both sides, from the cache where it has them."""
    images = cache_image_features(
        records,
        towers.image.preprocess,
        towers.encode_images,
        towers.image_cache,
        batch_size=batch_size,
        on_bad_image=on_bad_image,
        report=report,
        progress=progress,
    )
    kept = [records[index] for index in images.kept]
    captions = [text.text for record in kept for text in record.texts]
    texts = cache_text_features(captions, towers.encode_texts, towers.text_cache, progress=progress).rows
    counts = [len(record.texts) for record in kept]
    return EncodedRecords(
        kept,
        PairedFeatures(
            image=images.rows,
            text=texts,
            image_of_text=np.repeat(np.arange(len(kept)), counts).astype(np.int64),
            text_key=np.array([text_key(caption) for caption in captions], dtype=np.int64),
            groups=[record.id if record.group is None else record.group for record in kept],
        ),
    )


def describe(records: Sequence[Record], *, assigned: bool) -> dict[str, Any]:
    """Counts for the report and the model card."""
    languages = Counter(text.lang for record in records for text in record.texts)
    return {
        "records": len(records),
        "captions": sum(languages.values()),
        "languages": dict(sorted(languages.items())),
        "splits": dict(sorted(Counter(str(record.split) for record in records).items())),
        "splits_assigned_by_vlcore": assigned,
        "groups": len({record.group for record in records if record.group is not None}),
    }
