"""One fixed stretch per scene: the same field looks the same in every tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFLECTANCE_RANGE = (0.0, 0.3)
"""What is shown as black and white in reflectance: land is hardly ever brighter, clouds and snow are cut."""

PERCENTILES = (2.0, 98.0)
"""QGIS's default cut, for values of which nothing is known."""


@dataclass(frozen=True)
class Stretch:
    """Which physical values become black and white, band by band.

    Attributes:
        low: per band, shown as 0.
        high: per band, shown as 255.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of_range(cls, low: float, high: float, bands: int) -> Stretch:
        """The same for all bands."""
        return cls((low,) * bands, (high,) * bands)

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Turn `[C, H, W]` physical values into 0..255; what lies outside is cut."""
        low = np.asarray(self.low, dtype=np.float32)[:, None, None]
        span = np.maximum(np.asarray(self.high, dtype=np.float32)[:, None, None] - low, np.float32(1e-12))
        shown: NDArray[np.uint8] = np.clip((values - low) / span * 255 + 0.5, 0, 255).astype(np.uint8)
        return shown


def stretch_of(sample: NDArray[np.float32], valid: NDArray[np.bool_], *, reflectance: bool) -> Stretch:
    """Choose the stretch of a scene whose values are not 8-bit colours already.

    Reflectance is shown by one range for all scenes, so that scenes compare; anything else is cut at percentiles of
    the whole scene.

    Args:
        sample: `[C, H, W]` physical values of the whole scene, thinned out.
        valid: `[H, W]`, pixels that count.
        reflectance: the values are reflectances.
    """
    if reflectance:
        return Stretch.of_range(*REFLECTANCE_RANGE, len(sample))
    low, high = np.percentile(sample[:, valid].astype(np.float64), PERCENTILES, axis=1)
    return Stretch(tuple(map(float, low)), tuple(map(float, high)))
