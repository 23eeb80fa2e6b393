"""The ten kinds of scenes."""

from __future__ import annotations

from vlcore.demo.facts import SceneKind
from vlcore.demo.kinds.airport import AIRPORT
from vlcore.demo.kinds.beach import BEACH
from vlcore.demo.kinds.car_park import CAR_PARK
from vlcore.demo.kinds.farmland import FARMLAND
from vlcore.demo.kinds.forest import FOREST
from vlcore.demo.kinds.harbour import HARBOUR
from vlcore.demo.kinds.residential import RESIDENTIAL
from vlcore.demo.kinds.road_junction import ROAD_JUNCTION
from vlcore.demo.kinds.sports_ground import SPORTS_GROUND
from vlcore.demo.kinds.tank_farm import TANK_FARM

KINDS: dict[str, SceneKind] = {
    kind.name: kind
    for kind in (
        AIRPORT,
        BEACH,
        CAR_PARK,
        FARMLAND,
        FOREST,
        HARBOUR,
        RESIDENTIAL,
        ROAD_JUNCTION,
        SPORTS_GROUND,
        TANK_FARM,
    )
}
