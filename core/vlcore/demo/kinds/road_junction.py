"""Buses at crossings of roads."""

from __future__ import annotations

import math

from vlcore.demo import placing
from vlcore.demo.buildings import flat_roof, tank
from vlcore.demo.canvas import SIDE, Canvas, Point, Shape
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.grounds import tennis_court
from vlcore.demo.kinds.settings import CONCRETE, GRASS, SAND, SNOW
from vlcore.demo.layouts import dashes, draw_road, stroke, winding
from vlcore.demo.vehicles import bus

MIDDLE = SIDE / 2
WIDTH = 92.0
LANES = (-24.0, 24.0)


def _arm(towards: Point) -> list[Point]:
    return [
        (MIDDLE + (towards[0] - MIDDLE) * step / 16, MIDDLE + (towards[1] - MIDDLE) * step / 16) for step in range(17)
    ]


EAST, SOUTH, WEST, NORTH = (
    _arm(end) for end in ((SIDE + 20, MIDDLE), (MIDDLE, SIDE + 20), (-20, MIDDLE), (MIDDLE, -20))
)


def _roads(canvas: Canvas, arms: list[list[Point]]) -> None:
    for arm in arms:
        stroke(canvas.draw, arm, WIDTH + 8, (204, 204, 198))
    with canvas.area("asphalt") as pen:
        for arm in arms:
            stroke(pen, arm, WIDTH, 255)
    for arm in arms:
        dashes(canvas, arm[4:])


def _close(canvas: Canvas, arms: list[list[Point]]) -> None:
    """Keep trees off the roads; the buses are on them already."""
    for arm in arms:
        placing.keep_clear(canvas, arm, WIDTH)


def _on_arms(canvas: Canvas, shapes: list[Shape], arms: list[list[Point]], start: int = 4) -> None:
    chance = canvas.chance

    def propose(_: int, radius: float) -> placing.Spot:
        arm = chance.choice(arms)
        at = chance.randrange(start, len(arm) - 1)
        (x, y), turn, lane = arm[at], placing.direction(arm, at), chance.choice(LANES)
        heading = math.degrees(turn) + (180 if lane < 0 else 0)
        return x - lane * math.sin(turn), y + lane * math.cos(turn), heading

    placing.put_all(canvas, shapes, propose, largest=1.0)


def _crossroads(canvas: Canvas, shapes: list[Shape]) -> None:
    arms = [EAST, SOUTH, WEST, NORTH]
    _roads(canvas, arms)
    _on_arms(canvas, shapes, arms)
    _close(canvas, arms)


def _t_junction(canvas: Canvas, shapes: list[Shape]) -> None:
    arms = [EAST, SOUTH, WEST, NORTH]
    del arms[canvas.chance.randrange(4)]
    _roads(canvas, arms)
    # The missing arm leaves half of the middle bare: close it.
    with canvas.area("asphalt") as pen:
        pen.ellipse((MIDDLE - 46, MIDDLE - 46, MIDDLE + 46, MIDDLE + 46), fill=255)
    _on_arms(canvas, shapes, arms)
    _close(canvas, arms)


def _roundabout(canvas: Canvas, shapes: list[Shape]) -> None:
    arms = [EAST, SOUTH, WEST, NORTH]
    _roads(canvas, arms)
    with canvas.area("asphalt") as pen:
        pen.ellipse((MIDDLE - 128, MIDDLE - 128, MIDDLE + 128, MIDDLE + 128), fill=255)
    canvas.draw.ellipse((MIDDLE - 66, MIDDLE - 66, MIDDLE + 66, MIDDLE + 66), fill=(204, 204, 198))
    with canvas.area("grass") as pen:
        pen.ellipse((MIDDLE - 60, MIDDLE - 60, MIDDLE + 60, MIDDLE + 60), fill=255)
    canvas.taken.append((MIDDLE, MIDDLE, 60))
    _on_arms(canvas, shapes, arms, start=5)
    _close(canvas, arms)


def _winding_road(canvas: Canvas, shapes: list[Shape]) -> None:
    path = winding(canvas, 42)
    draw_road(canvas, path, width=WIDTH)
    placing.upon(canvas, shapes, path, LANES)
    placing.keep_clear(canvas, path, WIDTH)


def _office(colour: str) -> Shape:
    return flat_roof("office block", colour, 104, 104)


ROAD_JUNCTION = SceneKind(
    name="road junction",
    synonyms=("road junction", "traffic scene"),
    things=(("bus", "buses"),),
    shape=bus,
    colours=("red", "yellow", "white", "blue", "green", "orange"),
    counts=(1, 5),
    settings={"grass": GRASS, "sand": SAND, "snow": SNOW, "concrete": CONCRETE},
    arrangements={
        "crossroads": Arrangement(("at a crossroads", "where two roads cross"), _crossroads),
        "t-junction": Arrangement(("at a T-junction", "where three roads meet"), _t_junction),
        "roundabout": Arrangement(("at a roundabout", "around a traffic circle"), _roundabout),
        "winding road": Arrangement(("on a winding road", "driving along a curved road"), _winding_road),
    },
    extras={
        "office block": (_office, ("white", "brown", "blue", "red")),
        "tennis court": (tennis_court, ("blue", "orange", "green")),
        "water tank": (tank, ("white", "blue", "red")),
    },
    trees=6,
)
