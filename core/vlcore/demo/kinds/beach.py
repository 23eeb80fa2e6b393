"""Parasols on a beach."""

from __future__ import annotations

from vlcore.demo import placing
from vlcore.demo.buildings import cabin, tent
from vlcore.demo.canvas import SIDE, Canvas, Point, Shape
from vlcore.demo.facts import Arrangement, Layout, SceneKind, Setting
from vlcore.demo.grounds import parasol, swimming_pool

SHORE = 200.0


def _sea(side: str) -> Layout:
    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        chance = canvas.chance
        knots = [chance.uniform(-16, 16) for _ in range(9)]
        edge = [(step * 64, SHORE + knots[step]) for step in range(9)]
        for reach, material in ((14, None), (0, "sea")):
            points: list[Point] = [(0.0, 0.0), *((x, y + reach) for x, y in edge), (SIDE, 0.0)]
            if side in ("lower", "right"):
                points = [(x, SIDE - y) for x, y in points]
            if side in ("left", "right"):
                points = [(y, x) for x, y in points]
            if material is None:
                canvas.draw.polygon(points, fill=(240, 246, 246))  # surf
            else:
                with canvas.area(material) as pen:
                    pen.polygon(points, fill=255)
        low, high = SHORE + 24, float(SIDE)

        def propose(_: int, radius: float) -> placing.Spot:
            across, down = chance.uniform(radius, SIDE - radius), chance.uniform(low + radius, high - radius)
            if side in ("lower", "right"):
                down = SIDE - down
            return (down, across, 0) if side in ("left", "right") else (across, down, 0)

        placing.put_all(canvas, shapes, propose)

    return layout


BEACH = SceneKind(
    name="beach",
    synonyms=("beach", "seashore", "coast"),
    things=(("parasol", "parasols"), ("beach umbrella", "beach umbrellas")),
    shape=parasol,
    colours=("red", "blue", "yellow", "green", "orange", "purple", "pink"),
    counts=(1, 8),
    settings={
        "sand": Setting("sand", ("on golden sand", "on a golden beach"), ("golden", "sunny")),
        "white sand": Setting("snow", ("on white sand", "on a white beach"), ("white", "bright")),
        "black sand": Setting("black sand", ("on black sand", "on a dark beach"), ("black", "dark")),
    },
    arrangements={
        "sea left": Arrangement(
            ("with the sea on the left", "right of the sea"), _sea("left"), ("upper right", "lower right")
        ),
        "sea right": Arrangement(
            ("with the sea on the right", "left of the sea"), _sea("right"), ("upper left", "lower left")
        ),
        "sea above": Arrangement(
            ("below the sea", "with the sea at the top"), _sea("upper"), ("lower left", "lower right")
        ),
        "sea below": Arrangement(
            ("above the sea", "with the sea at the bottom"), _sea("lower"), ("upper left", "upper right")
        ),
    },
    extras={
        "hut": (cabin, ("brown", "blue", "red", "white")),
        "swimming pool": (swimming_pool, ("turquoise", "blue")),
        "tent": (tent, ("yellow", "orange", "blue", "purple", "red")),
    },
)
