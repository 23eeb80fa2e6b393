"""Bands by name, common name or wavelength, never by position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vlcore.errors import ConfigurationError

RGB = ("red", "green", "blue")
"""Common names of what image towers look at."""

COMMON_NAMES = (
    "coastal",
    "blue",
    "green",
    "yellow",
    "red",
    "rededge071",
    "rededge075",
    "rededge078",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir16",
    "swir22",
    "pan",
)
"""Names that bands of different sensors share (STAC extension `eo`, version 2)."""

# Name, common name, centre and full width at half maximum in nanometres. Sentinel-2: ESA, MSI spectral responses,
# S2A. Landsat 8/9: USGS, band designations of OLI.
_SENTINEL_2 = (
    ("B01", "coastal", 443, 27),
    ("B02", "blue", 490, 98),
    ("B03", "green", 560, 45),
    ("B04", "red", 665, 38),
    ("B05", "rededge071", 704, 19),
    ("B06", "rededge075", 740, 18),
    ("B07", "rededge078", 783, 28),
    ("B08", "nir", 842, 145),
    ("B8A", "nir08", 865, 33),
    ("B09", "nir09", 945, 26),
    ("B10", "cirrus", 1374, 75),
    ("B11", "swir16", 1610, 143),
    ("B12", "swir22", 2190, 242),
)
_LANDSAT_8 = (
    ("B1", "coastal", 443, 16),
    ("B2", "blue", 482, 60),
    ("B3", "green", 561, 57),
    ("B4", "red", 655, 37),
    ("B5", "nir08", 865, 28),
    ("B6", "swir16", 1609, 85),
    ("B7", "swir22", 2201, 187),
    ("B8", "pan", 590, 172),
    ("B9", "cirrus", 1373, 20),
)

SENSORS = {"sentinel-2": _SENTINEL_2, "landsat-8": _LANDSAT_8}
"""Known sensors: `(name, common name, centre nm, width nm)` of each band."""


@dataclass(frozen=True, slots=True)
class Band:
    """What is known of one band of a scene.

    Attributes:
        number: in the file, from 1.
        name: as the file or the user calls it; empty where nobody does.
        common_name: one of `COMMON_NAMES`; empty where it is not known.
        wavelength: centre in nanometres, or None.
        width: full width at half maximum in nanometres; 0 where it is not known.
    """

    number: int
    name: str = ""
    common_name: str = ""
    wavelength: float | None = None
    width: float = 0.0

    def __str__(self) -> str:
        known = [self.name or "no name", self.common_name if self.common_name != self.name else ""]
        known.append(f"{self.wavelength:.0f} nm" if self.wavelength else "")
        return f"band {self.number} ({', '.join(part for part in known if part)})"


def describe_bands(names: Sequence[str], wavelengths: Sequence[float | None] | None = None) -> tuple[Band, ...]:
    """Tell what bands are from their names.

    `B04` and `B8A` are Sentinel-2's spelling, `B4` and `SR_B4` Landsat 8's; longer descriptions such as
    `B04 - Red` count by their first word that says anything.

    Args:
        names: one per band in the order of the file; empty where there is none.
        wavelengths: centres in nanometres that the file states, which go before a sensor's table.
    """
    table = {name: (common, centre, width) for rows in SENSORS.values() for name, common, centre, width in rows}
    bands = []
    for number, full_name in enumerate(names, start=1):
        stated = wavelengths[number - 1] if wavelengths else None
        name, common, centre, width = full_name.strip(), "", stated, 0.0
        for word in re.findall(r"\w+", full_name.removeprefix("SR_")):
            if word.upper() in table:
                common, usual, width = table[word.upper()]
                centre = usual if stated is None else stated
                name = word.upper()
                break
            if word.lower() in COMMON_NAMES:
                common = word.lower()
                break
        bands.append(Band(number, name, common, centre, width))
    return tuple(bands)


def choose_bands(bands: Sequence[Band], wanted: Sequence[str], place: str) -> list[Band]:
    """Find the wanted bands of a scene.

    Args:
        bands: of the scene.
        wanted: names (`B04`), common names (`red`) or wavelengths (`665nm`).
        place: the scene, for messages.

    Raises:
        ConfigurationError: if one is not there, or several fit.
    """
    return [_choose(bands, one, place) for one in wanted]


def _choose(bands: Sequence[Band], wanted: str, place: str) -> Band:
    if nanometres := re.fullmatch(r"(\d+(?:\.\d+)?)\s*nm", wanted.strip(), re.IGNORECASE):
        centre = float(nanometres[1])
        known = [band for band in bands if band.wavelength is not None]
        found = sorted(known, key=lambda band: abs((band.wavelength or 0) - centre))[:1]
        # A band answers for its own range; one whose width is not known, for 20 nm to either side.
        found = [band for band in found if abs((band.wavelength or 0) - centre) <= max(band.width / 2, 20)]
    else:
        key = wanted.strip().lower()
        found = [band for band in bands if band.name.lower() == key]
        found = found or [band for band in bands if band.common_name == key]
    if len(found) == 1:
        return found[0]
    there = ", ".join(map(str, bands))
    if found:
        raise ConfigurationError(f"{place}: {wanted!r} fits {len(found)} bands. Choose by name: {there}.")
    raise ConfigurationError(
        f"{place}: no band is known as {wanted!r}. There are {there}. Choose others with bands=, or say in order what "
        f"the bands of this file are with band_names=, such as blue green red nir."
    )
