"""Cabins in a forest."""

from __future__ import annotations

from vlcore.demo import placing
from vlcore.demo.buildings import cabin, tent
from vlcore.demo.canvas import SIDE, Canvas, Shape
from vlcore.demo.facts import Arrangement, SceneKind, Setting
from vlcore.demo.layouts import around_pond, beside_river, draw_road, winding
from vlcore.demo.vehicles import car

MIDDLE = SIDE / 2


def _in_clearing(canvas: Canvas, shapes: list[Shape]) -> None:
    with canvas.area("grass") as pen:
        pen.ellipse((70, 70, SIDE - 70, SIDE - 70), fill=255)
    placing.cluster(canvas, shapes, reach=110)


def _on_path(canvas: Canvas, shapes: list[Shape]) -> None:
    path = winding(canvas, 44)
    draw_road(canvas, path, dirt=True)
    placing.keep_clear(canvas, path, 36)
    placing.along(canvas, shapes, path, 36)


FOREST = SceneKind(
    name="forest",
    synonyms=("forest", "wood"),
    things=(("cabin", "cabins"), ("hut", "huts")),
    shape=cabin,
    colours=("red", "blue", "white", "yellow", "orange", "brown"),
    counts=(1, 5),
    settings={
        "green forest": Setting("green forest", ("in a green forest", "in dense green woods"), ("green", "leafy")),
        "autumn forest": Setting("autumn forest", ("in an autumn forest", "in autumn woods"), ("autumn", "colourful")),
        "snowy forest": Setting("snowy forest", ("in a snowy forest", "in snow-covered woods"), ("snowy", "wintry")),
    },
    arrangements={
        "lake": Arrangement(("by a lake", "on the shore of a lake"), around_pond(radius=96)),
        "path": Arrangement(("along a winding path", "beside a dirt track"), _on_path),
        "river": Arrangement(("beside a river", "on the bank of a river"), beside_river()),
        "clearing": Arrangement(("in a grassy clearing", "in a round clearing"), _in_clearing),
    },
    extras={
        "tent": (tent, ("yellow", "red", "blue", "orange", "purple")),
        "car": (car, ("white", "red", "yellow", "blue")),
    },
)
