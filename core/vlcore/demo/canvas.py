"""A scene being drawn: ground first, then things with their shadows, then light and grain."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vlcore.demo.palette import RGB
from vlcore.demo.terrain import SWATCH, fractal, swatch

SIDE = 512
"""Side of the drawing in pixels; the finished scene has half of it, which smooths all edges."""

Point = tuple[float, float]
SUN = (0.75, 0.65)
"""Where shadows fall, right and down, per unit of height."""


class Pen:
    """Draws in the coordinates of one thing: its centre is the origin, x points right before it is turned.

    Args:
        draw: of the canvas.
        x: centre in pixels of the drawing.
        y: likewise.
        angle: in degrees, clockwise.
        scale: pixels per unit.
    """

    def __init__(self, draw: ImageDraw.ImageDraw, x: float, y: float, angle: float, scale: float) -> None:
        self._draw, self._x, self._y, self._scale = draw, x, y, scale
        self._cos, self._sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def at(self, u: float, v: float) -> Point:
        """A point of the thing in pixels of the drawing."""
        u, v = u * self._scale, v * self._scale
        return self._x + u * self._cos - v * self._sin, self._y + u * self._sin + v * self._cos

    def polygon(self, points: Sequence[Point], fill: RGB | int, *, shift: Point = (0.0, 0.0)) -> None:
        """Fill a polygon; `shift` moves it by pixels of the drawing, whatever the angle."""
        moved = [(x + shift[0], y + shift[1]) for x, y in (self.at(u, v) for u, v in points)]
        self._draw.polygon(moved, fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: RGB) -> None:
        """Fill a rectangle."""
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), fill)

    def disc(self, u: float, v: float, radius: float, fill: RGB) -> None:
        """Fill a circle."""
        (x, y), r = self.at(u, v), radius * self._scale
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def line(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        """Draw a line of a width in units of the thing."""
        pixels = max(1, round(width * self._scale))
        self._draw.line([self.at(u, v) for u, v in points], fill=fill, width=pixels, joint="curve")


@dataclass(frozen=True)
class Shape:
    """A thing that can be put somewhere.

    Attributes:
        name: singular noun.
        radius: of the circle that holds it, in pixels of the drawing.
        height: length of its shadow; 0 for what is painted on the ground.
        outline: polygon that throws the shadow.
        paint: draws it.
    """

    name: str
    radius: float
    height: float
    outline: tuple[Point, ...]
    paint: Callable[[Pen], None]


@dataclass(frozen=True)
class Placed:
    """A shape at its place.

    Attributes:
        shape: what.
        x: centre in pixels of the drawing.
        y: likewise.
        angle: degrees clockwise.
        scale: 1 where there was room enough.
    """

    shape: Shape
    x: float
    y: float
    angle: float
    scale: float


@dataclass
class Canvas:
    """One scene.

    Attributes:
        chance: the scene's own randomness.
        image: `SIDE` x `SIDE` RGB.
        placed: things in the order they were put.
        taken: circles `(x, y, radius)` that nothing more may touch.
    """

    chance: random.Random
    image: Image.Image = field(default_factory=lambda: Image.new("RGB", (SIDE, SIDE)))
    placed: list[Placed] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def cover(self, material: str, mask: Image.Image | None = None) -> None:
        """Lay a material over everything, or where the `L` mask is bright."""
        left, top = self.chance.randrange(SWATCH - SIDE), self.chance.randrange(SWATCH - SIDE)
        self.image.paste(swatch(material).crop((left, top, left + SIDE, top + SIDE)), mask=mask)

    @contextmanager
    def area(self, material: str) -> Iterator[ImageDraw.ImageDraw]:
        """Yield a pen for a mask; what is drawn with `fill=255` becomes the material."""
        mask = Image.new("L", (SIDE, SIDE))
        yield ImageDraw.Draw(mask)
        self.cover(material, mask)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """A pen for flat colour on the ground."""
        return ImageDraw.Draw(self.image)

    def is_free(self, x: float, y: float, radius: float) -> bool:
        """True where a circle lies inside the scene and touches nothing."""
        inside = radius * 0.9 <= min(x, y) and max(x, y) <= SIDE - radius * 0.9
        return inside and all(math.dist((x, y), (a, b)) >= radius + r for a, b, r in self.taken)

    def put(self, shape: Shape, x: float, y: float, angle: float = 0.0, scale: float = 1.0) -> None:
        """Put a thing; it is drawn, after all shadows, by `finish`."""
        self.placed.append(Placed(shape, x, y, angle, scale))
        self.taken.append((x, y, shape.radius * scale))

    def finish(self) -> Image.Image:
        """Draw shadows and things, scale down, and add light and grain."""
        self._throw_shadows()
        draw = self.draw
        for thing in self.placed:
            thing.shape.paint(Pen(draw, thing.x, thing.y, thing.angle, thing.scale))
        pixels = np.array(self.image.reduce(2), dtype=np.float32)
        half = SIDE // 2
        left, top = self.chance.randrange(SWATCH - half), self.chance.randrange(SWATCH - half)
        light = _clouds()[top : top + half, left : left + half, None]
        # Haze and the time of day: every scene has its own brightness and a slight cast.
        bright = self.chance.uniform(0.93, 1.06)
        cast = np.array([bright * self.chance.uniform(0.98, 1.02) for _ in range(3)], dtype=np.float32)
        noise = np.random.RandomState(self.chance.getrandbits(32))
        pixels *= light * cast
        pixels += noise.randint(-5, 6, (half, half, 1), dtype=np.int8)
        return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))

    def _throw_shadows(self) -> None:
        mask = Image.new("L", (SIDE, SIDE))
        draw = ImageDraw.Draw(mask)
        for thing in self.placed:
            pen = Pen(draw, thing.x, thing.y, thing.angle, thing.scale)
            for step in range(1, 5) if thing.shape.height else ():
                length = thing.shape.height * thing.scale * step / 4
                pen.polygon(thing.shape.outline, 118, shift=(SUN[0] * length, SUN[1] * length))
        self.image.paste((16, 20, 34), mask=mask.filter(ImageFilter.BoxBlur(2)))


@cache
def _clouds() -> NDArray[np.float32]:
    """Slow changes of brightness, 0.9 to 1.08, `[SWATCH, SWATCH]`."""
    height = fractal(np.random.RandomState(1), ((7, 7, 3), (24, 24, 1), (120, 120, 1)))
    return (0.9 + 0.18 * height).astype(np.float32)
