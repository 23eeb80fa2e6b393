"""How alike two sets of features arrange the same things."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlcore.errors import EvaluationError

Doubles = NDArray[np.float64]

# Below this part of the plain value, what the unbiased estimator leaves is rounding.
ROUNDING = 1e-12


def linear_cka(x: ArrayLike, y: ArrayLike, *, debiased: bool = True) -> float:
    """Centred kernel alignment of two sets of features with a linear kernel (arXiv 1905.00414, section 3).

        CKA = HSIC(X X^T, Y Y^T) / sqrt( HSIC(X X^T, X X^T) HSIC(Y Y^T, Y Y^T) )

    1 where one is a rotation and scaling of the other. The plain value grows with the widths where there are few rows,
    whatever the features are; the debiased one (arXiv 2010.15327, appendix A) is near 0 for features that have nothing
    to do with each other, and may be a little below.

    Args:
        x: `[N, W1]`, one row per thing.
        y: `[N, W2]` of the same things.
        debiased: use the unbiased estimator.

    Raises:
        EvaluationError: if the rows do not fit, are fewer than 4, hold NaN or infinity, are all the same, or are all
            equally far apart, which the unbiased estimator cannot tell from that.
    """
    a, b = _centred(x, "x"), _centred(y, "y")
    if len(a) != len(b):
        raise EvaluationError(f"x has {len(a)} rows and y has {len(b)}: give features of the same things.")
    both, own_a, own_b = (_hsic(one, other, debiased) for one, other in ((a, b), (a, a), (b, b)))
    for name, side, own in (("x", a, own_a), ("y", b, own_b)):
        if not own > ROUNDING * _product(side, side):
            raise EvaluationError(
                f"All rows of {name} are equally far apart: the debiased CKA is not defined. Give more rows, or choose "
                f"debiased=False."
            )
    return float(both / np.sqrt(own_a * own_b))


def _centred(values: ArrayLike, name: str) -> Doubles:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) < 4 or not table.shape[1]:
        raise EvaluationError(f"{name} has shape {list(table.shape)}: CKA needs at least 4 rows of features.")
    if not np.isfinite(table).all():
        row = int(np.argwhere(~np.isfinite(table))[0][0])
        raise EvaluationError(f"{name} has NaN or infinite values in row {row}.")
    # The mean of equal numbers may be off by rounding; differences from the first row are not.
    shifted = table - table[0]
    if not shifted.any():
        raise EvaluationError(f"All rows of {name} are the same: there is nothing to compare.")
    centred = shifted - shifted.mean(axis=0)
    # CKA does not know the scale, and its fourth powers would overflow.
    unit: Doubles = centred / np.abs(centred).max()
    return unit


def _hsic(x: Doubles, y: Doubles, debiased: bool) -> float:
    """Hilbert-Schmidt independence criterion up to a factor.

    The diagonals that the unbiased estimator leaves out are squared norms of rows.
    """
    whole = _product(x, y)
    if not debiased:
        return whole
    count = len(x)
    diagonal_x, diagonal_y = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    # With zeros on the diagonals: tr(K L), 1' K 1, 1' L 1 and 1' K L 1 of centred features.
    trace = whole - float(diagonal_x @ diagonal_y)
    total_x, total_y = -diagonal_x.sum(), -diagonal_y.sum()
    both = float(diagonal_x @ diagonal_y)
    return float(trace + total_x * total_y / ((count - 1) * (count - 2)) - 2 * both / (count - 2))


def _product(x: Doubles, y: Doubles) -> float:
    """tr(K L) of the Gram matrices `[N, N]`, by them or by |X^T Y|^2, whichever table is smaller."""
    if len(x) ** 2 < x.shape[1] * y.shape[1]:
        return float(np.vdot(x @ x.T, y @ y.T))
    return float(np.square(x.T @ y).sum())
