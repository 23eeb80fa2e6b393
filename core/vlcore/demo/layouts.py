"""Rivers, roads, ponds and the like, with things put beside, along or around them."""

from __future__ import annotations

import math

from PIL import ImageDraw

from vlcore.demo import placing
from vlcore.demo.canvas import SIDE, Canvas, Pen, Point, Shape
from vlcore.demo.facts import Layout
from vlcore.demo.palette import RGB

MIDDLE = SIDE / 2
ROAD = 46.0


def winding(canvas: Canvas, bend: float) -> list[Point]:
    """A path from edge to edge through the middle, slightly tilted, that swings by up to `bend` pixels; 33 points."""
    chance = canvas.chance
    tilt = chance.uniform(-24, 24)
    knots = [chance.uniform(-bend, bend) for _ in range(5)]
    points = []
    for step in range(33):
        place = step / 8
        left = min(3, int(place))
        share = place - left
        share = share * share * (3 - 2 * share)  # smooth steps from knot to knot
        off = knots[left] + (knots[left + 1] - knots[left]) * share
        points.append((-16 + step * (SIDE + 32) / 32, MIDDLE + off + tilt * (step - 16) / 16))
    return [(y, x) for x, y in points] if chance.random() < 0.5 else points


def stroke(pen: ImageDraw.ImageDraw, path: list[Point], width: float, fill: int | RGB) -> None:
    """A thick line with round corners and ends."""
    pen.line(path, fill=fill, width=round(width))
    for x, y in path:  # Pillow's own joints leave hairs at shallow corners
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=fill)


def beside_river(material: str = "water", width: float = 78) -> Layout:
    """Things on the banks of a river."""

    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        path = winding(canvas, 34)
        stroke(canvas.draw, path, width + 12, (104, 104, 70) if material == "water" else (236, 240, 246))
        with canvas.area(material) as pen:
            stroke(pen, path, width, 255)
        placing.keep_clear(canvas, path, width)
        placing.along(canvas, shapes, path, width)

    return layout


def along_road(bend: float = 0.0, *, dirt: bool = False) -> Layout:
    """Things beside a straight or winding road."""

    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        path = winding(canvas, bend)
        draw_road(canvas, path, dirt=dirt)
        placing.keep_clear(canvas, path, ROAD)
        placing.along(canvas, shapes, path, ROAD)

    return layout


def draw_road(canvas: Canvas, path: list[Point], *, width: float = ROAD, dirt: bool = False) -> None:
    """Asphalt with white edges and a dashed middle, or a dirt track with ruts."""
    if dirt:
        with canvas.area("earth") as pen:
            stroke(pen, path, width * 0.75, 255)
        return
    stroke(canvas.draw, path, width + 6, (200, 200, 196))
    with canvas.area("asphalt") as pen:
        stroke(pen, path, width, 255)
    dashes(canvas, path)


def dashes(canvas: Canvas, path: list[Point], width: int = 4) -> None:
    """A dashed white line along the middle of a path."""
    draw = canvas.draw
    for start, end in zip(path[::2], path[1::2], strict=False):
        draw.line((start, end), fill=(232, 232, 226), width=width)


def around_pond(material: str = "water", radius: float = 88) -> Layout:
    """Things around a pond in the middle."""

    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        edge = pond_edge(canvas, radius)
        canvas.draw.polygon(
            [(MIDDLE + (x - MIDDLE) * 1.08, MIDDLE + (y - MIDDLE) * 1.08) for x, y in edge], fill=(110, 106, 74)
        )
        with canvas.area(material) as pen:
            pen.polygon(edge, fill=255)
        canvas.taken.append((MIDDLE, MIDDLE, radius))
        placing.around(canvas, shapes, radius, face=True)

    return layout


def pond_edge(canvas: Canvas, radius: float) -> list[Point]:
    """A rounded outline that is nearly, but not quite, a circle."""
    chance = canvas.chance
    waves = [(order, chance.uniform(0.0, 0.1) / order * 2, chance.uniform(0, 6.28)) for order in (2, 3, 5)]
    points = []
    for step in range(72):
        turn = 2 * math.pi * step / 72
        reach = radius * (0.95 + sum(size * math.sin(order * turn + phase) for order, size, phase in waves))
        points.append((MIDDLE + reach * math.cos(turn), MIDDLE + reach * math.sin(turn)))
    return points


def in_row(canvas: Canvas, shapes: list[Shape]) -> None:
    """Things side by side."""
    placing.in_row(canvas, shapes)


def scattered(canvas: Canvas, shapes: list[Shape]) -> None:
    """Things anywhere, upright or nearly so."""
    placing.scatter(canvas, shapes, turn=20)


def clustered(canvas: Canvas, shapes: list[Shape]) -> None:
    """Things close together."""
    placing.cluster(canvas, shapes)


def in_ring(canvas: Canvas, shapes: list[Shape]) -> None:
    """Things evenly around a round paved yard."""
    radius = 118.0
    with canvas.area("concrete") as pen:
        pen.ellipse((MIDDLE - 60, MIDDLE - 60, MIDDLE + 60, MIDDLE + 60), fill=255)
    size = min(1.0, math.pi * radius * 0.9 / len(shapes) / shapes[0].radius)
    start = canvas.chance.uniform(0, 2 * math.pi)
    for number, shape in enumerate(shapes):
        turn = start + 2 * math.pi * number / len(shapes)
        canvas.put(shape, MIDDLE + radius * math.cos(turn), MIDDLE + radius * math.sin(turn), 0, size)


def beside_railway(canvas: Canvas, shapes: list[Shape]) -> None:
    """Things along a straight railway with sleepers and two rails."""
    path = winding(canvas, 0)
    draw = canvas.draw
    stroke(draw, path, 40, (120, 112, 102))
    for (x, y), turn in placing.rungs(path, 11):
        Pen(draw, x, y, math.degrees(turn), 1).box(0, -15, 5, 15, (84, 62, 48))
    for (x, y), turn in placing.rungs(path, 32):
        for off in (-9, 9):
            Pen(draw, x, y, math.degrees(turn), 1).box(0, off - 2, 33, off + 2, (196, 198, 204))
    placing.keep_clear(canvas, path, 40)
    placing.along(canvas, shapes, path, 40)
