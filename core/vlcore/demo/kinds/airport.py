"""Planes on a runway, an apron or at a terminal."""

from __future__ import annotations

import math

from vlcore.demo import placing
from vlcore.demo.buildings import dome, hangar
from vlcore.demo.canvas import SIDE, Canvas, Pen, Shape
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.kinds.settings import EARTH, GRASS, SAND, SNOW
from vlcore.demo.layouts import dashes, stroke, winding
from vlcore.demo.palette import COLOURS, shade
from vlcore.demo.vehicles import plane, truck

MIDDLE = SIDE / 2


def _on_runway(canvas: Canvas, shapes: list[Shape]) -> None:
    path = winding(canvas, 0)
    with canvas.area("asphalt") as pen:
        stroke(pen, path, 150, 255)
    dashes(canvas, path, 7)
    (x, y), turn = next(placing.rungs(path, 1))
    for bar in range(-60, 61, 20):
        Pen(canvas.draw, x, y, math.degrees(turn), 1).box(26, bar - 4, 66, bar + 4, (232, 232, 226))
    placing.upon(canvas, shapes, path, largest=1.1)


def _on_apron(canvas: Canvas, shapes: list[Shape]) -> None:
    with canvas.area("concrete") as pen:
        pen.rounded_rectangle((24, 24, SIDE - 24, SIDE - 24), 30, fill=255)
    for at in range(88, SIDE - 30, 64):
        canvas.draw.line((24, at, SIDE - 24, at), fill=(142, 142, 140), width=2)
        canvas.draw.line((at, 24, at, SIDE - 24), fill=(142, 142, 140), width=2)
    chance = canvas.chance
    placing.put_all(
        canvas,
        shapes,
        lambda _, radius: (
            chance.uniform(28 + radius, SIDE - 28 - radius),
            chance.uniform(28 + radius, SIDE - 28 - radius),
            chance.uniform(-180, 180),
        ),
    )


def _at_terminal(canvas: Canvas, shapes: list[Shape]) -> None:
    with canvas.area("concrete") as pen:
        pen.rectangle((0, 120, SIDE, SIDE - 120), fill=255)
    draw, roof = canvas.draw, COLOURS["grey"]
    draw.rectangle((20, MIDDLE - 14, SIDE, MIDDLE + 40), fill=(66, 66, 70))
    draw.rectangle((10, MIDDLE - 26, SIDE - 10, MIDDLE + 26), fill=shade(roof, 0.8))
    draw.rectangle((14, MIDDLE - 22, SIDE - 14, MIDDLE + 4), fill=shade(roof, 1.3))
    for x in range(30, SIDE - 30, 24):
        draw.rectangle((x, MIDDLE - 12, x + 12, MIDDLE - 4), fill=(70, 96, 120))
    path = [(x, MIDDLE) for x in range(0, SIDE + 1, 16)]
    placing.keep_clear(canvas, path, 52)
    chance = canvas.chance

    def propose(_: int, radius: float) -> placing.Spot:
        side = chance.choice((-1, 1))
        return chance.uniform(radius, SIDE - radius), MIDDLE + side * (30 + radius), side * -90

    placing.put_all(canvas, shapes, propose)


AIRPORT = SceneKind(
    name="airport",
    synonyms=("airport", "airfield"),
    things=(("plane", "planes"), ("aircraft", "aircraft")),
    shape=plane,
    colours=("white", "red", "blue", "yellow", "orange", "green"),
    counts=(1, 5),
    settings={"grass": GRASS, "sand": SAND, "snow": SNOW, "earth": EARTH},
    arrangements={
        "runway": Arrangement(("on a grey runway", "on a runway", "along the runway"), _on_runway),
        "apron": Arrangement(("on a wide concrete apron", "parked on an apron", "parked on concrete"), _on_apron),
        "terminal": Arrangement(("at a long terminal", "parked beside a terminal building"), _at_terminal),
    },
    extras={
        "hangar": (hangar, ("blue", "white", "green", "red", "brown")),
        "radar dome": (dome, ("white", "orange")),
        "truck": (truck, ("yellow", "red", "green", "blue")),
    },
)
