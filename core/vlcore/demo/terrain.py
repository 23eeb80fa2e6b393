"""Ground seen from above: large swatches of grass, sand, water and the like, from which scenes cut their part."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vlcore.demo.palette import RGB, shade

SWATCH = 1024
"""Side of a swatch in pixels of the drawing, which is twice as fine as the finished scene."""

Octaves = tuple[tuple[int, int, int], ...]
"""Cells across, cells down and weight of each layer of noise."""

_SOFT: Octaves = ((6, 6, 5), (14, 14, 3), (48, 48, 2), (180, 180, 1))
_RIPPLED: Octaves = ((6, 6, 4), (20, 60, 3), (60, 240, 2))


@dataclass(frozen=True)
class Material:
    """How a swatch is mixed.

    Attributes:
        low: colour of hollows.
        high: colour of heights.
        patch: colour of patches that lie over both.
        grain: largest change of brightness from pixel to pixel.
        specks: colours of tufts, stones and the like.
        count: how many specks.
        octaves: of the noise.
    """

    low: RGB
    high: RGB
    patch: RGB
    grain: int
    specks: tuple[RGB, ...] = ()
    count: int = 0
    octaves: Octaves = _SOFT


_MATERIALS = {
    "grass": Material((64, 102, 46), (120, 150, 76), (158, 156, 92), 12, ((52, 88, 42), (86, 124, 56)), 900),
    "sand": Material(
        (206, 178, 128), (238, 218, 174), (190, 160, 112), 7, ((150, 132, 92), (176, 150, 104)), 160, _RIPPLED
    ),
    "snow": Material((214, 223, 236), (252, 252, 253), (198, 210, 230), 3, ((168, 176, 190), (140, 146, 154)), 70),
    "concrete": Material((156, 156, 152), (186, 185, 180), (144, 143, 140), 8, ((134, 133, 130), (196, 195, 190)), 60),
    "asphalt": Material((76, 78, 83), (102, 103, 106), (66, 67, 71), 9, ((62, 63, 66),), 60),
    "earth": Material((124, 88, 60), (170, 132, 94), (142, 118, 72), 11, ((104, 78, 54), (186, 152, 112)), 500),
    "black sand": Material(
        (64, 60, 63), (104, 98, 98), (52, 50, 54), 9, ((46, 44, 46), (120, 114, 112)), 160, _RIPPLED
    ),
    "water": Material((30, 80, 120), (62, 122, 156), (24, 66, 106), 5, octaves=_RIPPLED),
    "sea": Material((20, 108, 138), (72, 168, 184), (14, 88, 124), 5, octaves=_RIPPLED),
    "undergrowth": Material((30, 54, 28), (52, 78, 40), (44, 60, 30), 10),
}
# Forests are undergrowth or snow under crowns of these colours.
_FORESTS: dict[str, tuple[str, tuple[RGB, ...]]] = {
    "green forest": ("undergrowth", ((44, 92, 44), (62, 112, 52), (84, 128, 60), (50, 100, 58))),
    "autumn forest": ("undergrowth", ((206, 112, 36), (180, 66, 36), (222, 168, 56), (150, 98, 44))),
    "snowy forest": ("snow", ((88, 112, 108), (122, 142, 142), (184, 198, 206), (206, 217, 224))),
}


@cache
def swatch(material: str) -> Image.Image:
    """A square of `SWATCH` pixels of a material; the same on every call."""
    if material in _FORESTS:
        return _forest(*_FORESTS[material])
    mixed = _MATERIALS[material]
    # RandomState: NumPy freezes its stream, unlike that of default_rng, so scenes stay the same across versions.
    noise = np.random.RandomState(sum(material.encode()))
    height = fractal(noise, mixed.octaves)[..., None]
    pixels = np.array(mixed.low) + (np.array(mixed.high) - np.array(mixed.low)) * height
    cover = np.clip((fractal(noise, _SOFT)[..., None] - 0.5) * 2.4, 0, 0.7)
    pixels += (np.array(mixed.patch) - pixels) * cover
    pixels += noise.randint(-mixed.grain, mixed.grain + 1, (SWATCH, SWATCH, 1))
    ground = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    _strew(ground, mixed.specks, mixed.count)
    return ground


def fractal(noise: np.random.RandomState, octaves: Octaves) -> NDArray[np.float64]:
    """Smooth noise `[SWATCH, SWATCH]` that spans 0..1."""
    total = np.zeros((SWATCH, SWATCH))
    for across, down, weight in octaves:
        cells = Image.fromarray(noise.randint(0, 256, (down, across)).astype(np.uint8))
        total += weight * np.asarray(cells.resize((SWATCH, SWATCH), Image.Resampling.BICUBIC), dtype=np.float64)
    low, high = total.min(), total.max()
    stretched: NDArray[np.float64] = (total - low) / (high - low)
    return stretched


def _strew(ground: Image.Image, specks: tuple[RGB, ...], count: int) -> None:
    """Tufts and stones, in loose groups, each with a bit of shadow."""
    chance = random.Random(f"specks{specks}")
    draw = ImageDraw.Draw(ground)
    x = y = 0.0
    for number in range(count):
        if number % 7 == 0:
            x, y = chance.uniform(0, SWATCH), chance.uniform(0, SWATCH)
        at, down, radius = x + chance.gauss(0, 40), y + chance.gauss(0, 40), chance.uniform(1.5, 4.0)
        colour = shade(chance.choice(specks), chance.uniform(0.85, 1.15))
        draw.ellipse((at - radius + 2, down - radius + 2, at + radius + 2, down + radius + 2), fill=shade(colour, 0.7))
        draw.ellipse((at - radius, down - radius, at + radius, down + radius), fill=colour)


def _forest(floor: str, crowns: tuple[RGB, ...]) -> Image.Image:
    """Crowns of trees that hide the ground nearly everywhere."""
    chance = random.Random(f"{floor}{crowns}")
    ground = swatch(floor).copy()
    draw = ImageDraw.Draw(ground)
    for _ in range(4200):
        x, y, radius = chance.uniform(0, SWATCH), chance.uniform(0, SWATCH), chance.uniform(11, 19)
        colour = shade(chance.choice(crowns), chance.uniform(0.85, 1.12))
        for shift, size, tone in ((3.0, 1.0, 0.55), (0.0, 1.0, 0.86), (-2.5, 0.72, 1.0), (-5.0, 0.38, 1.12)):
            r = radius * size
            draw.ellipse((x + shift - r, y + shift - r, x + shift + r, y + shift + r), fill=shade(colour, tone))
    return ground
