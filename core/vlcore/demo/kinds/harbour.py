"""Boats at a pier or off the quay."""

from __future__ import annotations

from vlcore.demo import placing
from vlcore.demo.buildings import warehouse
from vlcore.demo.canvas import SIDE, Canvas, Shape
from vlcore.demo.facts import Arrangement, Layout, SceneKind, Setting
from vlcore.demo.grounds import container
from vlcore.demo.vehicles import boat, truck

QUAY = 168.0
MIDDLE = SIDE / 2


def _quay(canvas: Canvas) -> bool:
    """Cover all but the quay with water; True where the quay is above, which is where the extra lies."""
    above = canvas.placed[0].y < MIDDLE if canvas.placed else canvas.chance.random() < 0.5
    wall = QUAY if above else SIDE - QUAY
    with canvas.area("water") as pen:
        pen.rectangle((0, wall, SIDE, SIDE) if above else (0, 0, SIDE, wall), fill=255)
    canvas.draw.rectangle((0, wall - 5, SIDE, wall + 5), fill=(96, 92, 88))
    canvas.taken.extend((x, wall - QUAY / 2 if above else wall + QUAY / 2, QUAY / 2) for x in range(0, SIDE + 1, 32))
    return above


def _at_pier(sides: tuple[int, ...]) -> Layout:
    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        above = _quay(canvas)
        far, near = (SIDE - 40.0, QUAY) if above else (40.0, SIDE - QUAY)
        draw, half = canvas.draw, 17
        top, bottom = sorted((near, far))
        # A pier to one side of the middle leaves room for the boats on the other.
        x = MIDDLE - sum(sides) * 110.0
        draw.rectangle((x - half + 8, top + 8, x + half + 8, bottom + 8), fill=(22, 52, 78))
        draw.rectangle((x - half, top, x + half, bottom), fill=(150, 112, 72))
        for y in range(round(top), round(bottom), 9):
            draw.line((x - half, y, x + half, y), fill=(112, 80, 50), width=2)
        path = [(x, top + (bottom - top) * step / 16) for step in range(17)]
        placing.keep_clear(canvas, path, 2.0 * half)
        chance = canvas.chance
        placing.put_all(
            canvas,
            shapes,
            lambda number, radius: (
                x + sides[number % len(sides)] * chance.uniform(half + radius, half + radius + 150),
                chance.uniform(top, bottom),
                chance.choice((0, 180)) + chance.uniform(-14, 14),
            ),
        )

    return layout


def _off_the_quay(canvas: Canvas, shapes: list[Shape]) -> None:
    _quay(canvas)
    placing.scatter(canvas, shapes)


HARBOUR = SceneKind(
    name="harbour",
    synonyms=("harbour", "port", "marina"),
    things=(("boat", "boats"),),
    shape=boat,
    colours=("red", "white", "yellow", "blue", "black", "orange"),
    counts=(1, 6),
    settings={
        "concrete": Setting("concrete", ("by a concrete quay", "near a paved quay"), ("paved", "concrete")),
        "sand": Setting("sand", ("off a sandy shore", "near a sandy bank"), ("sandy",)),
        "grass": Setting("grass", ("off a grassy bank", "near a green shore"), ("green", "grassy")),
        "snow": Setting("snow", ("off a snowy shore", "near a snow-covered bank"), ("snowy", "wintry")),
    },
    arrangements={
        "left of pier": Arrangement(("left of a wooden pier", "to the left of a pier"), _at_pier((-1,))),
        "right of pier": Arrangement(("right of a wooden pier", "to the right of a pier"), _at_pier((1,))),
        "both sides of pier": Arrangement(
            ("on both sides of a wooden pier", "left and right of a pier"), _at_pier((-1, 1)), fewest=2
        ),
        "no pier": Arrangement(("in open water", "floating freely on the water"), _off_the_quay),
    },
    extras={
        "warehouse": (warehouse, ("grey", "red", "blue", "white")),
        "container stack": (container, ("orange", "blue", "red", "green")),
        "truck": (truck, ("yellow", "white", "red", "green")),
    },
)
