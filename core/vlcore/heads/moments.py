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

    A side with fewer rows than columns is rotated into the span of its rows by a QR decomposition of its transpose
    (the dual route): everything after it works on N x N instead of W x W matrices and gives the same answer, since a
    ridge is blind to rotations.

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
    image_basis, image_dual = _dual(image_features, image_mean, image_scale)
    text_basis, text_dual = _dual(text_features, text_mean, text_scale)

    image_width = int(image_features.shape[1]) if image_dual is None else rows
    text_width = int(text_features.shape[1]) if text_dual is None else rows
    image_covariance = torch.zeros(image_width, image_width, dtype=torch.float64)
    text_covariance = torch.zeros(text_width, text_width, dtype=torch.float64)
    cross = torch.zeros(image_width, text_width, dtype=torch.float64)
    for start in range(0, rows, BLOCK_ROWS):
        span = slice(start, start + BLOCK_ROWS)
        image = _standardised(image_features, span, image_mean, image_scale) if image_dual is None else image_dual[span]
        text = _standardised(text_features, span, text_mean, text_scale) if text_dual is None else text_dual[span]
        # An image with five captions stands in five rows, side by side: it is multiplied once, with weight 5.
        distinct, group, counts = _runs(image)
        image_covariance.addmm_((distinct * counts[:, None]).T, distinct)
        text_covariance.addmm_(text.T, text)
        cross.addmm_(distinct.T, torch.zeros(len(distinct), text_width).double().index_add_(0, group, text))
    return PairedMoments(
        image=Side(image_mean, image_scale, image_basis, image_covariance / rows, image_unit),
        text=Side(text_mean, text_scale, text_basis, text_covariance / rows, text_unit),
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


def _dual(features: Features, mean: Tensor, scale: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Basis `[W, N]` of the rows and the rows `[N, N]` in it, or nothing where N >= W."""
    rows, width = features.shape
    if rows >= width:
        return None, None
    basis, coordinates = torch.linalg.qr(_standardised(features, slice(0, rows), mean, scale).T)
    return basis, coordinates.T
