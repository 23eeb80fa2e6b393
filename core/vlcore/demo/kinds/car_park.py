"""Cars in marked bays."""

from __future__ import annotations

from vlcore.demo import placing
from vlcore.demo.buildings import flat_roof
from vlcore.demo.canvas import SIDE, Canvas, Shape
from vlcore.demo.facts import Arrangement, Layout, SceneKind
from vlcore.demo.grounds import football_pitch, swimming_pool
from vlcore.demo.kinds.settings import EARTH, GRASS, SAND, SNOW
from vlcore.demo.vehicles import bus, car

BAY = 48
BAYS = 10
MIDDLE = SIDE / 2
WHITE = (226, 226, 220)


def _in_rows(rows: int) -> Layout:
    def layout(canvas: Canvas, shapes: list[Shape]) -> None:
        with canvas.area("asphalt") as pen:
            pen.rectangle((0, 150, SIDE, SIDE - 150), fill=255)
        levels = [MIDDLE] if rows == 1 else [MIDDLE - 46, MIDDLE + 46]
        left = (SIDE - BAY * BAYS) / 2
        for y in levels:
            for line in range(BAYS + 1):
                x = left + line * BAY
                canvas.draw.line((x, y - 40, x, y + 40), fill=WHITE, width=4)
        # Alternate between the rows, so that both of two rows are used.
        free = [canvas.chance.sample(range(BAYS), BAYS) for _ in levels]
        for number, shape in enumerate(shapes):
            row = number % rows
            x = left + (free[row][number // rows] + 0.5) * BAY
            canvas.put(shape, x, levels[row], canvas.chance.choice((90, -90)) + canvas.chance.uniform(-3, 3), 1.14)
        placing.keep_clear(canvas, [(x, MIDDLE) for x in range(0, SIDE + 1, 32)], 212)

    return layout


def _around_building(canvas: Canvas, shapes: list[Shape]) -> None:
    with canvas.area("asphalt") as pen:
        pen.rectangle((120, 120, SIDE - 120, SIDE - 120), fill=255)
    canvas.put(flat_roof("building", "grey", 120, 120), MIDDLE, MIDDLE)
    placing.around(canvas, shapes, 78, face=True)
    canvas.taken.append((MIDDLE, MIDDLE, 180))


CAR_PARK = SceneKind(
    name="car park",
    synonyms=("car park", "parking lot"),
    things=(("car", "cars"),),
    shape=car,
    colours=("red", "blue", "yellow", "white", "green", "orange"),
    counts=(2, 9),
    settings={"grass": GRASS, "sand": SAND, "snow": SNOW, "earth": EARTH},
    arrangements={
        "one row": Arrangement(("parked in one row", "parked side by side in a row"), _in_rows(1)),
        "two rows": Arrangement(("parked in two rows", "parked in two facing rows"), _in_rows(2)),
        "building": Arrangement(("around a square building", "parked around a grey building"), _around_building),
    },
    extras={
        "bus": (bus, ("yellow", "red", "blue", "white")),
        "swimming pool": (swimming_pool, ("turquoise", "blue")),
        "football pitch": (football_pitch, ("green",)),
    },
    trees=5,
)
