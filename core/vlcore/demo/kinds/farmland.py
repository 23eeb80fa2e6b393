"""Fields with farm buildings."""

from __future__ import annotations

from vlcore.demo.buildings import barn, silo
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.grounds import round_field
from vlcore.demo.kinds.settings import EARTH, GRASS, SAND, SNOW
from vlcore.demo.layouts import along_road, beside_river, in_row, scattered
from vlcore.demo.vehicles import tractor

FARMLAND = SceneKind(
    name="farmland",
    synonyms=("farmland", "agricultural area", "countryside"),
    things=(("round field", "round fields"), ("circular field", "circular fields")),
    shape=round_field,
    colours=("green", "yellow", "brown", "purple", "red"),
    counts=(1, 5),
    settings={"grass": GRASS, "sand": SAND, "snow": SNOW, "earth": EARTH},
    arrangements={
        "river": Arrangement(("beside a river", "on the bank of a river", "next to a river"), beside_river()),
        "road": Arrangement(("along a country road", "beside a road"), along_road(16)),
        "row": Arrangement(("in a row", "side by side in one line"), in_row, fewest=2),
        "scattered": Arrangement(("spread over the land", "lying apart from each other"), scattered, fewest=2),
    },
    extras={
        "barn": (barn, ("red", "white", "blue", "brown")),
        "silo": (silo, ("white", "grey", "blue")),
        "tractor": (tractor, ("red", "blue", "yellow", "green")),
    },
    trees=5,
)
