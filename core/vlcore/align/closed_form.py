"""Choice of the closed-form alignment's ridges, components and weighting by cross-validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from vlcore.align.candidates import Candidate, held_out_recall
from vlcore.align.features import Fold, PairedFeatures
from vlcore.heads.closed_form import ClosedFormAlignment, fit_cca, solve_cca
from vlcore.heads.linear import LinearHead
from vlcore.heads.moments import PairedMoments, paired_moments


@dataclass(frozen=True)
class ClosedFormSettings:
    """One point of the grid.

    Attributes:
        image_regularisation: ridge of the image side in multiples of its mean variance.
        text_regularisation: likewise of the text side.
        components: size of the embedding.
        power: exponent of the correlations in the dot product.
    """

    image_regularisation: float = 0.1
    text_regularisation: float = 0.1
    components: int = 64
    power: float = 2.0


CLOSED_FORM = "closed form"

UNTUNED = ClosedFormSettings()
"""Fixed settings of the floor that stands beside every score; nothing about it is chosen."""

# Few images and wide towers want a strong ridge on the image side; sentence embeddings need little.
IMAGE_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0)
TEXT_RIDGES = (0.1, 0.3, 1.0, 3.0)
COMPONENTS = (32, 64, 128, 256)
POWERS = (1.0, 2.0, 3.0)


def pair_moments(features: PairedFeatures) -> PairedMoments:
    """Moments of all pairs: an image counts once per caption."""
    return paired_moments(features.image[features.image_of_text], features.text)


def closed_form_heads(features: PairedFeatures, settings: ClosedFormSettings) -> tuple[LinearHead, LinearHead]:
    """Fit the closed form with given settings; the embedding shrinks where there are fewer components."""
    alignment = fit_cca(
        features.image[features.image_of_text],
        features.text,
        regularisation=(settings.image_regularisation, settings.text_regularisation),
    )
    return alignment.heads(min(settings.components, len(alignment.correlations)), settings.power)


def choose_closed_form(
    features: PairedFeatures, folds: list[Fold], advance: Callable[[int], None] = lambda _: None
) -> tuple[ClosedFormSettings, Candidate]:
    """Try a grid on every fold and return the settings with the best mean recall.

    The two ridges are searched one after the other, image side first: together they make a grid of the same
    result at several times the cost.

    Args:
        features: of the training split.
        folds: indices that stay and that are held out.
        advance: called with 1 after each alignment tried, `tries(folds)` times.
    """
    start = time.monotonic()
    parts = [(pair_moments(features.subset(kept)), features.subset(held_out)) for kept, held_out in folds]
    scores: dict[ClosedFormSettings, list[float]] = {}

    def try_ridges(ridges: Iterable[tuple[float, float]]) -> ClosedFormSettings:
        for image_ridge, text_ridge in ridges:
            for moments, held_out in parts:
                alignment = solve_cca(moments, regularisation=(image_ridge, text_ridge))
                for settings in _weightings(alignment, image_ridge, text_ridge):
                    heads = alignment.heads(settings.components, settings.power)
                    scores.setdefault(settings, []).append(held_out_recall(heads, held_out))
                advance(1)
        # A setting that one fold could not have (too few components) is not compared with those that all had.
        whole = [settings for settings, values in scores.items() if len(values) == len(parts)]
        return max(whole, key=lambda settings: float(np.mean(scores[settings])))

    best = try_ridges((ridge, 1.0) for ridge in IMAGE_RIDGES)
    best = try_ridges((best.image_regularisation, ridge) for ridge in TEXT_RIDGES if ridge != 1.0)
    candidate = Candidate(CLOSED_FORM, asdict(best), tuple(scores[best]), time.monotonic() - start)
    return best, candidate


def tries(folds: list[Fold]) -> int:
    """How many alignments `choose_closed_form` fits."""
    return len(folds) * (len(IMAGE_RIDGES) + len(TEXT_RIDGES) - 1)


def _weightings(alignment: ClosedFormAlignment, image_ridge: float, text_ridge: float) -> Iterable[ClosedFormSettings]:
    available = len(alignment.correlations)
    sizes = sorted({min(size, available) for size in COMPONENTS})
    for components, power in product(sizes, POWERS):
        yield ClosedFormSettings(image_ridge, text_ridge, components, power)
