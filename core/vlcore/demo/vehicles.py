"""Cars, boats and planes, as seen from above; all head to the right before they are turned."""

from __future__ import annotations

import math

from vlcore.demo.buildings import box_outline
from vlcore.demo.canvas import Pen, Point, Shape
from vlcore.demo.palette import COLOURS, shade

GLASS = (38, 50, 64)
TYRE = (26, 26, 28)


def _wheeled(name: str, colour: str, length: float, width: float, height: float, windows: int) -> Shape:
    """A road vehicle; `windows` 1 is a car with two screens, more is a bus with a row of hatches."""
    body, u, v = COLOURS[colour], length / 2, width / 2

    def paint(pen: Pen) -> None:
        for x in (-u * 0.62, u * 0.62):
            pen.box(x - 6, -v - 2, x + 6, v + 2, TYRE)
        pen.polygon(
            ((-u, -v + 4), (-u + 5, -v), (u - 8, -v), (u, -v + 7), (u, v - 7), (u - 8, v), (-u + 5, v), (-u, v - 4)),
            shade(body, 0.92),
        )
        pen.box(-u + 6, -v + 1, u - 10, -v * 0.3, shade(body, 1.12))
        if windows == 1:
            pen.polygon(((u * 0.34, -v + 4), (u * 0.1, -v + 6), (u * 0.1, v - 6), (u * 0.34, v - 4)), GLASS)
            pen.polygon(((-u * 0.66, -v + 4), (-u * 0.48, -v + 6), (-u * 0.48, v - 6), (-u * 0.66, v - 4)), GLASS)
            pen.box(-u * 0.44, -v + 5, u * 0.08, v - 5, shade(body, 1.06))
        else:
            pen.box(u - 14, -v + 3, u - 7, v - 3, GLASS)
            for hatch in range(windows):
                x = -u + 16 + hatch * (length - 40) / max(1, windows - 1)
                pen.box(x - 6, -5, x + 6, 5, shade(body, 0.7))

    return Shape(name, math.hypot(u, v), height, box_outline(length, width), paint)


def car(colour: str) -> Shape:
    """A passenger car."""
    return _wheeled("car", colour, 62, 30, 10, 1)


def bus(colour: str) -> Shape:
    """A bus."""
    return _wheeled("bus", colour, 108, 36, 18, 4)


def truck(colour: str) -> Shape:
    """A lorry: a dark cab before a coloured box."""
    body = COLOURS[colour]

    def paint(pen: Pen) -> None:
        for x in (-34, -16, 36):
            pen.box(x - 6, -20, x + 6, 20, TYRE)
        pen.box(-50, -18, 22, 18, shade(body, 0.95))
        pen.box(-50, -18, 22, -6, shade(body, 1.12))
        for x in range(-42, 20, 12):
            pen.line(((x, -18), (x, 18)), shade(body, 0.8), 1.5)
        pen.box(26, -16, 50, 16, (84, 88, 96))
        pen.box(38, -13, 45, 13, GLASS)

    return Shape("truck", 53, 20, box_outline(100, 36), paint)


def tractor(colour: str) -> Shape:
    """A tractor with large hind wheels."""
    body = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.box(-30, -26, 0, -16, TYRE)
        pen.box(-30, 16, 0, 26, TYRE)
        pen.box(16, -20, 34, -13, TYRE)
        pen.box(16, 13, 34, 20, TYRE)
        pen.box(-26, -15, 38, 15, shade(body, 0.9))
        pen.box(0, -11, 38, 2, shade(body, 1.15))
        pen.box(-22, -13, -2, 13, GLASS)
        pen.box(-19, -10, -5, 10, shade(body, 1.05))

    return Shape("tractor", 40, 16, box_outline(68, 40), paint)


def boat(colour: str) -> Shape:
    """A motor boat: pointed hull, pale deck, cabin."""
    hull = COLOURS[colour]
    outline: tuple[Point, ...] = ((-48, -17), (14, -20), (38, -10), (52, 0), (38, 10), (14, 20), (-48, 17))

    def paint(pen: Pen) -> None:
        pen.polygon([(u * 1.06, v * 1.16) for u, v in outline], shade(hull, 0.55))
        pen.polygon(outline, hull)
        pen.polygon(((-42, -9), (10, -11), (30, 0), (10, 11), (-42, 9)), (206, 180, 138))
        pen.box(-22, -12, 10, 12, shade(hull, 1.15))
        pen.box(2, -9, 8, 9, GLASS)
        pen.line(((-40, 0), (-24, 0)), (120, 92, 62), 2)

    return Shape("boat", 56, 12, outline, paint)


def plane(colour: str) -> Shape:
    """A jet airliner with swept wings."""
    body = COLOURS[colour]
    fuselage: tuple[Point, ...] = (
        (-66, -4), (-50, -9), (44, -9), (60, -6), (68, 0), (60, 6), (44, 9), (-50, 9), (-66, 4),
    )  # fmt: skip
    wings: tuple[Point, ...] = ((22, 0), (-20, -66), (-32, -66), (-12, 0), (-32, 66), (-20, 66))
    tail: tuple[Point, ...] = ((-46, 0), (-60, -26), (-68, -26), (-62, 0), (-68, 26), (-60, 26))

    def paint(pen: Pen) -> None:
        for part in (wings, tail):
            pen.polygon(part, shade(body, 0.8))
            pen.polygon([(u, v) for u, v in part if v <= 0], shade(body, 0.96))
        for v in (-28, 28):
            pen.box(-6, v - 5, 12, v + 5, (112, 116, 122))
        pen.polygon(fuselage, shade(body, 0.88))
        pen.polygon([(u, v * 0.6 - 1.5) for u, v in fuselage], shade(body, 1.08))
        pen.polygon(((54, -5), (61, -4), (61, 4), (54, 5)), GLASS)
        pen.line(((-66, 0), (-44, 0)), shade(body, 0.6), 3)

    outline: tuple[Point, ...] = (
        (68, 0), (44, 9), (22, 9), (-20, 66), (-32, 66), (-18, 9), (-46, 9), (-60, 26), (-68, 26), (-64, 0),
        (-68, -26), (-60, -26), (-46, -9), (-18, -9), (-32, -66), (-20, -66), (22, -9), (44, -9),
    )  # fmt: skip
    return Shape("plane", 70, 16, outline, paint)
