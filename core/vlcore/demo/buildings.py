"""Roofs, tanks and tents, as seen from above."""

from __future__ import annotations

import math

from vlcore.demo.canvas import Pen, Point, Shape
from vlcore.demo.palette import COLOURS, RGB, mix, shade


def box_outline(width: float, depth: float) -> tuple[Point, ...]:
    """Corners of a rectangle around the origin."""
    u, v = width / 2, depth / 2
    return ((-u, -v), (u, -v), (u, v), (-u, v))


def disc_outline(radius: float, corners: int = 24) -> tuple[Point, ...]:
    """A circle as a polygon."""
    turns = (2 * math.pi * corner / corners for corner in range(corners))
    return tuple((radius * math.cos(turn), radius * math.sin(turn)) for turn in turns)


def gabled(name: str, colour: str, width: float, depth: float, height: float = 22) -> Shape:
    """A house, cabin or barn: two roof slopes, one in the light, and a chimney."""
    roof, u, v = COLOURS[colour], width / 2, depth / 2

    def paint(pen: Pen) -> None:
        pen.box(-u - 2, -v - 2, u + 2, v + 2, shade(roof, 0.5))
        pen.box(-u, -v, u, 0, shade(roof, 1.1))
        pen.box(-u, 0, u, v, shade(roof, 0.74))
        for row in range(1, int(v // 7)):
            pen.line(((-u, -row * 7), (u, -row * 7)), shade(roof, 1.0), 1.5)
            pen.line(((-u, row * 7), (u, row * 7)), shade(roof, 0.66), 1.5)
        pen.line(((-u, 0), (u, 0)), shade(roof, 1.3), 3)
        pen.box(u * 0.4, -v * 0.55, u * 0.4 + 9, -v * 0.55 + 9, (92, 70, 62))
        pen.box(u * 0.4 + 2, -v * 0.55 + 2, u * 0.4 + 7, -v * 0.55 + 7, (36, 32, 32))

    return Shape(name, math.hypot(u, v) + 2, height, box_outline(width, depth), paint)


def house(colour: str) -> Shape:
    """A family house."""
    return gabled("house", colour, 86, 64)


def cabin(colour: str) -> Shape:
    """A small house."""
    return gabled("cabin", colour, 72, 56, 18)


def barn(colour: str) -> Shape:
    """A long farm building."""
    return gabled("barn", colour, 116, 62, 26)


def flat_roof(name: str, colour: str, width: float, depth: float) -> Shape:
    """A large building with a ribbed flat roof, a parapet and vents."""
    roof, u, v = COLOURS[colour], width / 2, depth / 2

    def paint(pen: Pen) -> None:
        pen.box(-u, -v, u, v, shade(roof, 0.62))
        pen.box(-u + 4, -v + 4, u - 4, v - 4, roof)
        for column in range(1, int(width // 14)):
            x = -u + column * 14
            pen.line(((x, -v + 4), (x, v - 4)), shade(roof, 0.88), 2)
        for x in (-u * 0.5, u * 0.1, u * 0.6):
            pen.box(x + 3, -2, x + 15, 10, shade(roof, 0.5))
            pen.box(x, -5, x + 12, 7, mix(roof, (210, 212, 214), 0.7))

    return Shape(name, math.hypot(u, v), 30, box_outline(width, depth), paint)


def warehouse(colour: str) -> Shape:
    """A hall for goods."""
    return flat_roof("warehouse", colour, 128, 84)


def hangar(colour: str) -> Shape:
    """A hall with a barrel roof, bright along its top."""
    roof = COLOURS[colour]

    def paint(pen: Pen) -> None:
        for strip in range(12):
            top = -45 + strip * 7.5
            light = 1.12 - 0.55 * abs((strip - 4.0) / 7.5) ** 1.5
            pen.box(-60, top, 60, top + 8, shade(roof, light))
        for x in range(-60, 61, 20):
            pen.line(((x, -45), (x, 45)), shade(roof, 0.72), 1.5)
        pen.box(52, -45, 60, 45, shade(roof, 0.45))

    return Shape("hangar", 74, 34, box_outline(120, 90), paint)


def round_roof(name: str, colour: str, radius: float, height: float, rings: int) -> Shape:
    """A tank, silo or dome: a lit rim, the roof, and a stair or hatch."""
    roof = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.disc(0, 0, radius, shade(roof, 0.55))
        pen.disc(-1.5, -1.5, radius * 0.95, shade(roof, 1.12))
        pen.disc(0, 0, radius * 0.9, shade(roof, 0.95))
        for ring in range(rings, 0, -1):
            size = radius * 0.85 * ring / rings
            lift = 1.14 - 0.2 * ring / rings
            pen.disc(
                -radius * 0.1 * (rings - ring) / rings, -radius * 0.1 * (rings - ring) / rings, size, shade(roof, lift)
            )
        pen.line(((0, 0), (radius * 0.92, 0)), shade(roof, 0.6), 3)
        pen.disc(0, 0, radius * 0.1, shade(roof, 0.5))

    return Shape(name, radius, height, disc_outline(radius), paint)


def tank(colour: str) -> Shape:
    """A storage tank."""
    return round_roof("tank", colour, 46, 34, 2)


def silo(colour: str) -> Shape:
    """A narrow, high tank."""
    return round_roof("silo", colour, 30, 54, 3)


def dome(colour: str) -> Shape:
    """A radar dome."""
    return round_roof("radar dome", colour, 40, 30, 6)


def tent(colour: str) -> Shape:
    """A pyramid of cloth with four sides, each in its own light."""
    cloth: RGB = COLOURS[colour]
    corners = box_outline(62, 62)

    def paint(pen: Pen) -> None:
        for side, light in enumerate((1.15, 0.92, 0.62, 0.86)):
            pen.polygon((corners[side], corners[(side + 1) % 4], (0, 0)), shade(cloth, light))
        pen.disc(0, 0, 3, shade(cloth, 1.35))

    return Shape("tent", 44, 20, corners, paint)
