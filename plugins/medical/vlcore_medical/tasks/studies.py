"""Studies with all their images and those of the study before, as what a report is written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vlcore.data.feature_cache import FeatureCache, cache_image_features
from vlcore.data.record import Record
from vlcore.encoders.inference import ImageInference
from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.errors import ConfigurationError
from vlcore_medical.tasks.report_writer import Memory

_STUDY = ("study", "report")
"""Where readers say which study an image is of; Open-i tells reports apart and no studies."""


@dataclass(frozen=True)
class Study:
    """What one report is about.

    Attributes:
        images: records of its images, in the order of the manifest; the first stands for the study.
        prior: those of the patient's study before it; empty where there is none, or it is not in the manifest.
    """

    images: tuple[Record, ...]
    prior: tuple[Record, ...] = ()


def single_images(records: Sequence[Record]) -> list[Study]:
    """Every image as a study of its own, without a prior one."""
    return [Study((record,)) for record in records]


def group_studies(records: Sequence[Record], *, prior: bool = False) -> list[Study]:
    """Images that their reader gave one `study` together; an image without a study is one by itself.

    Args:
        records: of a manifest, all of its splits: a prior study is looked for among them.
        prior: add the images of the study that `prior_study` names.

    Raises:
        ConfigurationError: if images of one study are on different sides of a split.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        name = next((str(record.meta[key]) for key in _STUDY if record.meta.get(key)), None)
        # An image's own id is no study's: the two are kept apart.
        groups.setdefault(f"image {record.id}" if name is None else f"study {name}", []).append(record)
    studies = []
    for name, images in groups.items():
        if len({image.split for image in images}) > 1:
            raise ConfigurationError(
                f"The images of {name} are on different sides of the split: {', '.join(image.id for image in images)}. "
                f"Split by patient or study."
            )
        before = images[0].meta.get("prior_study") if prior else None
        studies.append(Study(tuple(images), tuple(groups.get(f"study {before}", ())) if before else ()))
    return studies


def encode_studies(
    studies: Sequence[Study], tower: TokenEncoder, cache: Path, *, prior: bool = False, progress: bool = False
) -> Memory:
    """Cells or patches of all images of each study, one image after the other, from the cache where it has them.

    Args:
        studies: B of them.
        tower: W numbers per token.
        cache: folder of cached features.
        prior: the last column says whether a token is of the prior study: `[B, M, W + 1]`.
        progress: show bars on standard error.

    Raises:
        ImageDecodeError: for an image that cannot be read.
        ConfigurationError: if there are no studies.
    """
    if not studies:
        raise ConfigurationError("There is no image to write from: 0 studies.")
    records = {record.id: record for study in studies for record in (*study.images, *study.prior)}
    store = FeatureCache(cache, tower.fingerprint(), tower.width)
    encoded = cache_image_features(
        list(records.values()), tower.preprocess, ImageInference(tower), store, progress=progress
    )
    tokens = tower.unflatten(torch.tensor(encoded.rows)).features
    place = {name: number for number, name in enumerate(records)}
    return join_images(
        [tokens[[place[record.id] for record in study.images]] for study in studies],
        [tokens[[place[record.id] for record in study.prior]] for study in studies] if prior else None,
    )


def join_images(images: Sequence[Tensor], prior: Sequence[Tensor] | None) -> Memory:
    """The tokens of each study in one row, those of the current images first.

    Args:
        images: of B studies, `[V, R, W]` each, V images.
        prior: likewise of the studies before, perhaps of none; None where the model reads no prior images.
    """
    rows = []
    for number, current in enumerate(images):
        row = current.flatten(0, 1)
        if prior is not None:
            before = prior[number].flatten(0, 1)
            mark = torch.cat([row.new_zeros(len(row), 1), row.new_ones(len(before), 1)])
            row = torch.cat([torch.cat([row, before]), mark], dim=1)
        rows.append(row)
    features = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return Memory(features, torch.arange(features.shape[1]) < lengths[:, None])
