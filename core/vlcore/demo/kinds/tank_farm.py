"""Storage tanks of an industrial site."""

from __future__ import annotations

from vlcore.demo.buildings import tank, warehouse
from vlcore.demo.facts import Arrangement, SceneKind
from vlcore.demo.grounds import container
from vlcore.demo.kinds.settings import CONCRETE, EARTH, GRASS, SAND, SNOW
from vlcore.demo.layouts import beside_railway, beside_river, clustered, in_ring, in_row
from vlcore.demo.vehicles import truck

TANK_FARM = SceneKind(
    name="tank farm",
    synonyms=("tank farm", "oil depot", "industrial site"),
    things=(("round tank", "round tanks"), ("storage tank", "storage tanks")),
    shape=tank,
    colours=("white", "red", "blue", "green", "yellow", "brown"),
    counts=(2, 8),
    settings={"sand": SAND, "concrete": CONCRETE, "grass": GRASS, "snow": SNOW, "earth": EARTH},
    arrangements={
        "row": Arrangement(("in a row", "side by side in one line"), in_row),
        "ring": Arrangement(("in a ring", "standing in a circle"), in_ring),
        "cluster": Arrangement(("in a dense group", "crowded together"), clustered),
        "railway": Arrangement(("beside a railway", "along a railway line"), beside_railway),
        "river": Arrangement(("beside a river", "on the bank of a river", "next to a river"), beside_river()),
    },
    extras={
        "warehouse": (warehouse, ("grey", "red", "blue", "white", "green")),
        "truck": (truck, ("yellow", "white", "red", "orange")),
        "container stack": (container, ("orange", "blue", "red", "green")),
    },
)
