"""Grounds that several kinds of scenes share."""

from __future__ import annotations

from vlcore.demo.facts import Setting

GRASS = Setting("grass", ("on grass", "on a green meadow", "on green grass"), ("grassy", "green"))
SAND = Setting("sand", ("on sand", "on pale sandy ground", "in a desert"), ("sandy", "desert"))
SNOW = Setting("snow", ("in the snow", "on snow-covered ground", "on white snow"), ("snowy", "snow-covered", "wintry"))
CONCRETE = Setting("concrete", ("on concrete", "on a paved ground", "on grey concrete"), ("paved", "concrete"))
EARTH = Setting("earth", ("on bare soil", "on brown earth", "on dry brown soil"), ("dry", "dusty"))
