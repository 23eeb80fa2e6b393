"""Houses with gardens."""

from __future__ import annotations

from vlcore.demo.buildings import house
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.grounds import swimming_pool, tennis_court
from vlcore.demo.kinds.settings import EARTH, GRASS, SAND, SNOW
from vlcore.demo.layouts import along_road, around_pond, beside_river, scattered
from vlcore.demo.vehicles import car

RESIDENTIAL = SceneKind(
    name="residential area",
    synonyms=("residential area", "neighbourhood", "housing estate"),
    things=(("house", "houses"), ("home", "homes")),
    shape=house,
    colours=("red", "blue", "white", "orange", "brown", "black", "green"),
    counts=(1, 6),
    settings={"grass": GRASS, "sand": SAND, "snow": SNOW, "earth": EARTH},
    arrangements={
        "river": Arrangement(("beside a river", "on the bank of a river", "next to a river"), beside_river()),
        "straight road": Arrangement(("along a straight road", "beside a road", "by a straight street"), along_road()),
        "pond": Arrangement(("beside a pond", "by a small lake", "at a pond"), around_pond()),
        "scattered": Arrangement(
            ("spread out", "standing apart from each other", "scattered over the land"), scattered, fewest=2
        ),
    },
    extras={
        "swimming pool": (swimming_pool, ("blue", "turquoise")),
        "car": (car, ("red", "yellow", "white", "blue", "black")),
        "tennis court": (tennis_court, ("blue", "green", "orange")),
    },
    trees=6,
)
