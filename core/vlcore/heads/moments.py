"""Means, deviations and covariances of paired features, in float64 and in one bounded-memory pass over blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vlcore.heads.standardise import safe_scale

Features = Tensor | np.ndarray
"""`[N, W]` features in memory or memory-mapped."""

BLOCK_ROWS = 8192
"""Rows converted to float64 at a time: memory-mapped features of any length need tens of MB."""


@dataclass(frozen=True)
class Side:
    """One side of the pairs after standardisation.

    Attributes:
        mean: `[W]` column means.
        scale: `[W]` divisors, all positive (`safe_scale`).
        basis: `[W, R]` orthonormal columns that span the standardised features, or None where R = W (the unit basis).
        covariance: `[R, R]` of the standardised features in that basis.
        ridge_unit: mean variance of the W standardised columns: 1, less where columns are constant.
    """

    mean: Tensor
    scale: Tensor
    basis: Tensor | None
    covariance: Tensor
    ridge_unit: float


@dataclass(frozen=True)
class PairedMoments:
    """What canonical correlation needs to know of N pairs.

    Attributes:
        image: the image side.
        text: the text side.
        cross: `[Ri, Rt]` covariance of image and text.
        rows: N.
    """

    image: Side
    text: Side
    cross: Tensor
    rows: int


def paired_moments(image_features: Features, text_features: Features) -> PairedMoments:
    """Standardise both sides and take their covariances.

    A side with fewer distinct rows than columns (an image with five captions is one) is rotated into the span of its
    rows by a QR decomposition of their transpose (the dual route): everything after it works on matrices of that size
    instead of W x W and gives the same answer, since a ridge is blind to rotations.

    Args:
        image_features: `[N, Wi]`; row i belongs to row i of the texts.
        text_features: `[N, Wt]`.

    Raises:
        ValueError: if the shapes do not pair up, fewer than two rows are given, or a value is NaN or infinite.
    """
    _check_shapes(image_features, text_features)
    rows = int(image_features.shape[0])
    image_mean, image_scale, image_unit = _statistics(image_features, "image")
    text_mean, text_scale, text_unit = _statistics(text_features, "text")
    image = _rotated(image_features, image_mean, image_scale)
    text = _rotated(text_features, text_mean, text_scale)
    image_covariance = torch.zeros(image.width, image.width, dtype=torch.float64)
    text_covariance = torch.zeros(text.width, text.width, dtype=torch.float64)
    cross = torch.zeros(image.width, text.width, dtype=torch.float64)
    for start in range(0, rows, BLOCK_ROWS):
        span = slice(start, start + BLOCK_ROWS)
        image_rows, text_rows = image.block(span), text.block(span)
        # An image with five captions stands in five rows, side by side: it is multiplied once, with weight 5.
        distinct, group, counts = _runs(image_rows)
        image_covariance.addmm_((distinct * counts[:, None]).T, distinct)
        text_covariance.addmm_(text_rows.T, text_rows)
        cross.addmm_(distinct.T, torch.zeros(len(distinct), text.width).double().index_add_(0, group, text_rows))
    return PairedMoments(
        image=Side(image_mean, image_scale, image.basis, image_covariance / rows, image_unit),
        text=Side(text_mean, text_scale, text.basis, text_covariance / rows, text_unit),
        cross=cross / rows,
        rows=rows,
    )


def _check_shapes(image_features: Features, text_features: Features) -> None:
    for name, features in (("image_features", image_features), ("text_features", text_features)):
        if features.ndim != 2 or 0 in features.shape:
            raise ValueError(f"{name} has shape {tuple(features.shape)}, expected [N, W] with at least one column.")
    if image_features.shape[0] != text_features.shape[0]:
        raise ValueError(
            f"image_features has {image_features.shape[0]} rows and text_features {text_features.shape[0]}: row i of "
            f"both must belong to one pair. Repeat an image's row once per caption."
        )
    if image_features.shape[0] < 2:
        raise ValueError("One pair has no variance: give at least two.")


def _blocks(features: Features) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, int(features.shape[0]), BLOCK_ROWS):
        yield start, _block(features, slice(start, start + BLOCK_ROWS))


def _block(features: Features, span: slice) -> Tensor:
    if isinstance(features, Tensor):
        return features[span].detach().to("cpu", torch.float64)
    return torch.from_numpy(np.asarray(features[span], dtype=np.float64))


def _standardised(features: Features, span: slice, mean: Tensor, scale: Tensor) -> Tensor:
    return (_block(features, span) - mean) / scale


def _statistics(features: Features, name: str) -> tuple[Tensor, Tensor, float]:
    rows = int(features.shape[0])
    total = torch.zeros(int(features.shape[1]), dtype=torch.float64)
    for start, block in _blocks(features):
        finite = torch.isfinite(block).all(dim=1)
        if not finite.all():
            row = start + int((~finite).nonzero()[0])
            raise ValueError(f"{name} features have NaN or infinite values, first in row {row}: find its record.")
        total += block.sum(dim=0)
    mean = total / rows
    squares = torch.zeros_like(mean)
    for _, block in _blocks(features):
        squares += (block - mean).square().sum(dim=0)
    deviation = (squares / rows).sqrt()
    scale = safe_scale(mean, deviation)
    return mean, scale, float((deviation / scale).square().mean())


def _runs(block: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First rows of all runs of equal rows, the run of every row, and the lengths of the runs."""
    first = torch.ones(len(block), dtype=torch.bool)
    first[1:] = (block[1:] != block[:-1]).any(dim=1)
    group = first.long().cumsum(0) - 1
    return block[first], group, torch.bincount(group).double()


@dataclass(frozen=True)
class _Rotated:
    """Standardised features, rotated into the span of their distinct rows where those are few.

    Attributes:
        features: `[N, W]`.
        mean: `[W]`.
        scale: `[W]`.
        basis: `[W, R]` orthonormal, or None where nothing is rotated.
        coordinates: `[R, R]` of the distinct rows in that basis.
        row: `[N]` which distinct row each row is.
    """

    features: Features
    mean: Tensor
    scale: Tensor
    basis: Tensor | None = None
    coordinates: Tensor | None = None
    row: Tensor | None = None

    @property
    def width(self) -> int:
        return int(self.mean.shape[0]) if self.basis is None else int(self.basis.shape[1])

    def block(self, span: slice) -> Tensor:
        if self.coordinates is None or self.row is None:
            return _standardised(self.features, span, self.mean, self.scale)
        return self.coordinates[self.row[span]]


def _rotated(features: Features, mean: Tensor, scale: Tensor) -> _Rotated:
    width = int(features.shape[1])
    parts: list[Tensor] = []
    numbers: list[Tensor] = []
    found = 0
    for _, block in _blocks(features):
        # Blocks are compared on their own: a run that crosses a border counts twice, which costs a row and no more.
        distinct, group, _ = _runs(block)
        numbers.append(group + found)
        parts.append(distinct)
        found += len(distinct)
        if found >= width:
            return _Rotated(features, mean, scale)
    basis, coordinates = torch.linalg.qr(((torch.cat(parts) - mean) / scale).T)
    return _Rotated(features, mean, scale, basis, coordinates.T, torch.cat(numbers))
