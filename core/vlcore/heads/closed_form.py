"""Closed-form alignment of two frozen towers: ridge-regularised canonical correlation analysis, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlcore.heads.linear import LinearHead
from vlcore.heads.moments import Features, PairedMoments, Side, paired_moments


@dataclass(frozen=True)
class ClosedFormAlignment:
    """Two linear maps into one space, components ordered by their correlation.

    Attributes:
        image_mean: `[Wi]` subtracted from image features.
        image_scale: `[Wi]` divisors of image features.
        image_directions: `[Wi, K]` directions of the standardised image features.
        text_mean: `[Wt]` subtracted from text features.
        text_scale: `[Wt]` divisors of text features.
        text_directions: `[Wt, K]` directions of the standardised text features.
        correlations: `[K]` regularised canonical correlations s, descending, in 0..1.
    """

    image_mean: Tensor
    image_scale: Tensor
    image_directions: Tensor
    text_mean: Tensor
    text_scale: Tensor
    text_directions: Tensor
    correlations: Tensor

    def heads(self, components: int, power: float = 2.0) -> tuple[LinearHead, LinearHead]:
        """Turn the first components into two heads.

        Component k of both embeddings is weighted by `s_k ** (power / 2)`, so it enters their dot product with the
        weight `s_k ** power`. With power 0 all components count alike; with 4 each side carries the squared
        correlation. Strong regularisation (1 or more) goes with 2, weak with 4.

        Args:
            components: size D of the embedding.
            power: exponent of the correlations in the dot product.

        Returns:
            The image head and the text head, float32, without bias.

        Raises:
            ValueError: if there are not that many components.
        """
        available = len(self.correlations)
        if not 1 <= components <= available:
            raise ValueError(f"components={components}: this alignment has {available}; choose 1 to {available}.")
        weights = self.correlations[:components] ** (power / 2)
        return (
            _head(self.image_mean, self.image_scale, self.image_directions[:, :components] * weights),
            _head(self.text_mean, self.text_scale, self.text_directions[:, :components] * weights),
        )


def fit_cca(
    image_features: Features, text_features: Features, *, regularisation: float | tuple[float, float] = 0.1
) -> ClosedFormAlignment:
    """Align paired features by ridge-regularised canonical correlation analysis.

    Both sides are centred and every column is scaled to variance 1. With the covariances Cii, Ctt and Cit of the
    result, the directions a, b maximise `a' Cit b` under `a' (Cii + r v I) a = b' (Ctt + r' v' I) b = 1`, where r
    and r' are the regularisations and v, v' the mean variances of the standardised columns (Vinod 1976, canonical
    ridge). Few images and a wide tower want a strong r; sentence embeddings need a small r'.
    Solved by Cholesky whitening and one singular value decomposition, in float64 on the CPU.

    Args:
        image_features: `[N, Wi]`, a row per pair: an image with five captions appears five times.
        text_features: `[N, Wt]`.
        regularisation: ridge in multiples of the mean variance, above 0; a pair gives the image and the text side
            their own.

    Raises:
        ValueError: if the shapes do not pair up, a value is NaN or infinite, or the regularisation is not positive.
    """
    return solve_cca(paired_moments(image_features, text_features), regularisation=regularisation)


def solve_cca(moments: PairedMoments, *, regularisation: float | tuple[float, float]) -> ClosedFormAlignment:
    """Align from moments: the cheap part of `fit_cca`, for trying several regularisations on the same pairs.

    Args:
        moments: what `paired_moments` returned.
        regularisation: as of `fit_cca`.

    Raises:
        ValueError: if a regularisation is not a positive number.
    """
    image_ridge, text_ridge = regularisation if isinstance(regularisation, tuple) else (regularisation, regularisation)
    for ridge in (image_ridge, text_ridge):
        if not 0 < ridge < float("inf"):
            raise ValueError(f"regularisation={ridge}: choose a number above 0; without a ridge noise is aligned.")
    image_factor = _ridge_factor(moments.image, image_ridge)
    text_factor = _ridge_factor(moments.text, text_ridge)
    # Li^-1 Cit Lt^-T: the cross-covariance [Ri, Rt] between the whitened sides.
    whitened = torch.linalg.solve_triangular(image_factor, moments.cross, upper=False)
    whitened = torch.linalg.solve_triangular(text_factor, whitened.T, upper=False).T
    left, correlations, right = torch.linalg.svd(whitened, full_matrices=False)
    # Centring takes one degree of freedom; beyond it there is only rounding noise.
    kept = min(len(correlations), moments.rows - 1)
    image_directions = _back(moments.image, image_factor, left[:, :kept])
    text_directions = _back(moments.text, text_factor, right[:kept].T)
    signs = _signs(image_directions)
    return ClosedFormAlignment(
        image_mean=moments.image.mean,
        image_scale=moments.image.scale,
        image_directions=image_directions * signs,
        text_mean=moments.text.mean,
        text_scale=moments.text.scale,
        text_directions=text_directions * signs,
        correlations=correlations[:kept].clamp(0, 1),
    )


def _ridge_factor(side: Side, regularisation: float) -> Tensor:
    """Lower Cholesky factor `[R, R]` of the covariance plus its ridge."""
    # All columns constant: any positive ridge keeps the factor defined, and every direction is then 0 correlated.
    ridge = regularisation * (side.ridge_unit or 1.0)
    factor: Tensor = torch.linalg.cholesky(
        side.covariance + ridge * torch.eye(len(side.covariance), dtype=torch.float64)
    )
    return factor


def _back(side: Side, factor: Tensor, whitened: Tensor) -> Tensor:
    """Directions `[W, K]` of the standardised features from whitened ones `[R, K]`."""
    directions: Tensor = torch.linalg.solve_triangular(factor.T, whitened, upper=True)
    return directions if side.basis is None else side.basis @ directions


def _signs(directions: Tensor) -> Tensor:
    """`[K]` signs that make the largest entry of every direction positive: the same result on every machine."""
    largest = directions.abs().argmax(dim=0, keepdim=True)
    return torch.where(directions.gather(0, largest).squeeze(0) < 0, -1.0, 1.0).to(torch.float64)


def _head(mean: Tensor, scale: Tensor, projection: Tensor) -> LinearHead:
    head = LinearHead(projection.shape[0], projection.shape[1], bias=False)
    head.set_statistics(mean, scale)
    with torch.no_grad():
        head.projection.weight.copy_(projection.T)
    return head
