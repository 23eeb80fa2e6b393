"""Where things go: in rows, along a line, around a point, or anywhere that is free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from vlcore.demo.canvas import SIDE, Canvas, Point, Shape

TRIES = 80
MIDDLE = SIDE / 2

Spot = tuple[float, float, float]
"""x and y in pixels of the drawing, and an angle in degrees."""


def put_all(
    canvas: Canvas, shapes: Sequence[Shape], propose: Callable[[int, float], Spot], largest: float = 1.35
) -> None:
    """Put every thing at a free spot, all of one size: few of them large, many of them as small as they must be.

    Args:
        canvas: to put on.
        shapes: all of them are put.
        propose: a spot to try for the thing of a number and of a radius.
        largest: scale that fits the ground they lie on.

    Raises:
        RuntimeError: if things a quarter of their size still find no room: a defect of the layout.
    """
    scale = min(largest, 1.45 - 0.1 * len(shapes))
    while scale > 0.25:
        spots = _spots(canvas, shapes, propose, scale)
        if spots is not None:
            for shape, (x, y, angle) in zip(shapes, spots, strict=True):
                canvas.put(shape, x, y, angle, scale)
            return
        scale *= 0.92
    raise RuntimeError(f"No room for {len(shapes)} of {shapes[0].name}.")


def _spots(
    canvas: Canvas, shapes: Sequence[Shape], propose: Callable[[int, float], Spot], scale: float
) -> list[Spot] | None:
    before = len(canvas.taken)
    found: list[Spot] = []
    for number, shape in enumerate(shapes):
        radius = shape.radius * scale
        for _ in range(TRIES):
            spot = propose(number, radius)
            if canvas.is_free(spot[0], spot[1], radius):
                found.append(spot)
                canvas.taken.append((spot[0], spot[1], radius + 3))
                break
        else:
            break
    del canvas.taken[before:]
    return found if len(found) == len(shapes) else None


def scatter(canvas: Canvas, shapes: Sequence[Shape], *, turn: float = 180.0) -> None:
    """Anywhere; each is turned by up to `turn` degrees."""
    chance = canvas.chance
    put_all(
        canvas,
        shapes,
        lambda _, radius: (
            chance.uniform(radius, SIDE - radius),
            chance.uniform(radius, SIDE - radius),
            chance.uniform(-turn, turn),
        ),
    )


def cluster(canvas: Canvas, shapes: Sequence[Shape], *, reach: float = 150.0) -> None:
    """Close together around the middle."""
    chance = canvas.chance
    put_all(
        canvas,
        shapes,
        lambda _, radius: (
            MIDDLE + chance.uniform(-reach, reach),
            MIDDLE + chance.uniform(-reach, reach),
            chance.uniform(-180, 180),
        ),
    )


def in_row(canvas: Canvas, shapes: Sequence[Shape], *, y: float = MIDDLE, angle: float = 0.0) -> None:
    """Side by side in one line across the scene, evenly spaced."""
    count = len(shapes)
    room = (SIDE - 24) / count
    scale = min(1.3, 0.95 * room / (2 * shapes[0].radius))
    step = min(room, 2.4 * shapes[0].radius * scale)
    drift = canvas.chance.uniform(-6, 6)
    for number, shape in enumerate(shapes):
        x = MIDDLE + (number - (count - 1) / 2) * step
        canvas.put(shape, x, y + drift, angle, scale)


def around(canvas: Canvas, shapes: Sequence[Shape], radius: float, *, face: bool = False) -> None:
    """In a ring around the middle; with `face` each is turned towards it."""
    chance = canvas.chance

    def propose(_: int, size: float) -> Spot:
        turn = chance.uniform(0, 2 * math.pi)
        distance = radius + size + chance.uniform(4, 14)
        angle = math.degrees(turn) + 90 if face else chance.uniform(-180, 180)
        return MIDDLE + distance * math.cos(turn), MIDDLE + distance * math.sin(turn), angle

    put_all(canvas, shapes, propose)


def along(canvas: Canvas, shapes: Sequence[Shape], path: Sequence[Point], width: float) -> None:
    """Beside a path of a width, close to it and turned with it."""
    chance = canvas.chance

    def propose(_: int, radius: float) -> Spot:
        at = chance.randrange(1, len(path) - 1)
        (x, y), turn = path[at], direction(path, at)
        off = chance.choice((-1, 1)) * (width / 2 + radius + chance.uniform(5, 12))
        return x - off * math.sin(turn), y + off * math.cos(turn), math.degrees(turn) + chance.uniform(-8, 8)

    put_all(canvas, shapes, propose)


def upon(
    canvas: Canvas, shapes: Sequence[Shape], path: Sequence[Point], lanes: Sequence[float] = (0.0,), largest: float = 1
) -> None:
    """On a path, heading along it or back; `lanes` are offsets from its middle."""
    chance = canvas.chance

    def propose(_: int, radius: float) -> Spot:
        at = chance.randrange(1, len(path) - 1)
        (x, y), turn, lane = path[at], direction(path, at), chance.choice(lanes)
        angle = math.degrees(turn) + (180 if lane > 0 else 0)
        return x - lane * math.sin(turn), y + lane * math.cos(turn), angle

    put_all(canvas, shapes, propose, largest)


def direction(path: Sequence[Point], at: int) -> float:
    """Heading of a path at one of its inner points, in radians."""
    (x0, y0), (x1, y1) = path[at - 1], path[at + 1]
    return math.atan2(y1 - y0, x1 - x0)


def rungs(path: Sequence[Point], spacing: float) -> Iterator[tuple[Point, float]]:
    """Points at even distances along a straight path, with its heading in radians."""
    (x0, y0), (x1, y1) = path[0], path[-1]
    turn, length = math.atan2(y1 - y0, x1 - x0), math.dist(path[0], path[-1])
    for step in range(int(length / spacing)):
        reach = step * spacing
        yield (x0 + reach * math.cos(turn), y0 + reach * math.sin(turn)), turn


def keep_clear(canvas: Canvas, path: Sequence[Point], width: float) -> None:
    """Let nothing touch a path of a width."""
    canvas.taken.extend((x, y, width / 2) for x, y in path)
