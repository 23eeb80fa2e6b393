"""Tennis courts and what lies around them."""

from __future__ import annotations

from vlcore.demo import placing
from vlcore.demo.buildings import house
from vlcore.demo.canvas import Canvas, Shape
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.grounds import football_pitch, running_track, swimming_pool, tennis_court, tree
from vlcore.demo.kinds.settings import CONCRETE, GRASS, SAND
from vlcore.demo.layouts import along_road, in_row


def _among_trees(canvas: Canvas, shapes: list[Shape]) -> None:
    placing.scatter(canvas, shapes, turn=25)
    for _ in range(160):
        crown = tree(canvas.chance)
        x, y = canvas.chance.uniform(0, 512), canvas.chance.uniform(0, 512)
        if canvas.is_free(x, y, crown.radius):
            canvas.put(crown, x, y)


SPORTS_GROUND = SceneKind(
    name="sports ground",
    synonyms=("sports ground", "sports complex", "leisure centre"),
    things=(("tennis court", "tennis courts"),),
    shape=tennis_court,
    colours=("blue", "green", "red", "orange", "purple"),
    counts=(1, 4),
    settings={"grass": GRASS, "sand": SAND, "concrete": CONCRETE},
    arrangements={
        "row": Arrangement(("in a row", "side by side in one line"), in_row, fewest=2),
        "road": Arrangement(("along a road", "beside a road"), along_road()),
        "trees": Arrangement(("among many trees", "between trees"), _among_trees),
    },
    extras={
        "running track": (running_track, ("red", "blue", "orange")),
        "football pitch": (football_pitch, ("green",)),
        "swimming pool": (swimming_pool, ("turquoise", "blue")),
        "clubhouse": (house, ("white", "brown", "red")),
    },
)
