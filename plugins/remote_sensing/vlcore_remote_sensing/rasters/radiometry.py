"""From stored numbers to physical values, before anything is shown to an image tower."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError

RadiometryName = Literal["auto", "stored", "sentinel-2", "sentinel-2-harmonised"]

_SENTINEL_2_QUANTIFICATION = 10_000
_SENTINEL_2_OFFSET = -1_000
_FIRST_BASELINE_WITH_OFFSET = 400  # processing baseline 04.00, 25 January 2022

_DARK_REFLECTANCE = 0.1
"""Blue light that vegetation sends back is below this; dense canopies are near 0.03."""


@dataclass(frozen=True, slots=True)
class Radiometry:
    """Physical value = stored value * scale + offset.

    Attributes:
        name: `stored`, `file`, `sentinel-2`, `sentinel-2-harmonised`.
        scale: per stored unit.
        offset: in physical units.
        reflectance: True where the physical value is a reflectance, 0..1.
    """

    name: str = "stored"
    scale: float = 1.0
    offset: float = 0.0
    reflectance: bool = False

    def apply(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn stored values into physical ones, in place; reflectance is not cut at 0 or 1."""
        if (self.scale, self.offset) != (1.0, 0.0):
            stored *= np.float32(self.scale)
            stored += np.float32(self.offset)
        return stored


_STORED = Radiometry()
_WITH_OFFSET = Radiometry(
    "sentinel-2",
    1 / _SENTINEL_2_QUANTIFICATION,
    _SENTINEL_2_OFFSET / _SENTINEL_2_QUANTIFICATION,
    reflectance=True,
)
_HARMONISED = Radiometry("sentinel-2-harmonised", 1 / _SENTINEL_2_QUANTIFICATION, 0.0, reflectance=True)


def choose_radiometry(
    name: RadiometryName, path: str, scales: tuple[float, ...], offsets: tuple[float, ...], tags: dict[str, str]
) -> Radiometry:
    """Decide what the stored numbers of a scene mean.

    `auto` trusts, in order: scale and offset in the file; the processing baseline in a Sentinel-2 product's name or
    tags (from 04.00 on, 1,000 is taken off; Planetary Computer and ESA deliver it so); otherwise stored values.
    Providers that took it off already (Earth Search's first collection, Google's harmonised one) rename their files,
    so they are not recognised: say `sentinel-2-harmonised`.

    Args:
        name: what the user says.
        path: of the scene.
        scales: of its bands, as GDAL reads them.
        offsets: likewise.
        tags: of the file.

    Raises:
        ConfigurationError: if the name is unknown, or the bands' scales differ.
    """
    explicit = {"stored": _STORED, "sentinel-2": _WITH_OFFSET, "sentinel-2-harmonised": _HARMONISED}
    if name in explicit:
        return explicit[name]
    if name != "auto":
        raise ConfigurationError(f"radiometry={name!r}: choose auto, {', '.join(explicit)}.")
    pairs = set(zip(scales, offsets, strict=True))
    if pairs != {(1.0, 0.0)}:
        if len(pairs) > 1:
            raise ConfigurationError(
                f"{path}: its bands have different scales and offsets, {sorted(pairs)}, so one image cannot be made of "
                f"them as they are. Choose radiometry='stored', or bands that agree."
            )
        (scale, offset), *_ = pairs
        return Radiometry("file", scale, offset, reflectance=scale <= 1e-3)
    baseline = _sentinel_2_baseline(path, tags)
    if baseline is None:
        return _STORED
    return _WITH_OFFSET if baseline >= _FIRST_BASELINE_WITH_OFFSET else _HARMONISED


def dark_pixel_warning(
    blue: NDArray[np.float32], red: NDArray[np.float32] | None, near_infrared: NDArray[np.float32] | None
) -> str:
    """Say what is wrong with reflectances whose dark pixels are too bright; empty where nothing is.

    Args:
        blue: `[N]` reflectances.
        red: `[N]`, or None where there is no such band.
        near_infrared: `[N]`, or None.
    """
    if red is not None and near_infrared is not None:
        vegetation = (near_infrared - red) > 0.4 * np.maximum(near_infrared + red, 1e-6)
        if np.count_nonzero(vegetation) < 50:
            return ""
        darkest, what = float(np.median(blue[vegetation])), "vegetation"
    elif len(blue):
        darkest, what = float(np.percentile(blue, 1)), "the darkest hundredth of the scene"
    else:
        return ""
    if darkest <= _DARK_REFLECTANCE:
        return ""
    return (
        f"The blue reflectance of {what} is {darkest:.2f}, above {_DARK_REFLECTANCE}: an offset of 1,000 was probably "
        f"not taken off (Sentinel-2 since January 2022). Choose radiometry='sentinel-2' if so."
    )


def _sentinel_2_baseline(path: str, tags: dict[str, str]) -> int | None:
    """Processing baseline times 100, from the product's name (`S2A_MSIL2A_…_N0400_…`) or ESA's tags."""
    if named := re.search(r"S2[A-D]_MSIL[12][AC]_\d{8}T\d{6}_N(\d{4})_", path):
        return int(named[1])
    stated = tags.get("PROCESSING_BASELINE", "")
    return round(float(stated) * 100) if re.fullmatch(r"\d\d\.\d\d", stated) else None
