"""Courts, pools, fields, parasols and trees: what lies or stands on the ground."""

from __future__ import annotations

import math
import random

from vlcore.demo.buildings import box_outline, disc_outline
from vlcore.demo.canvas import Pen, Shape
from vlcore.demo.palette import COLOURS, RGB, mix, shade

LINE = (240, 240, 236)


def tennis_court(colour: str) -> Shape:
    """A court with a paler surround, white lines and a net."""
    floor = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.box(-72, -44, 72, 44, shade(mix(floor, (120, 124, 110), 0.45), 0.9))
        pen.box(-54, -28, 54, 28, floor)
        for v in (-28, -20, 20, 28):
            pen.line(((-54, v), (54, v)), LINE, 2)
        for u in (-54, -30, 30, 54):
            reach = 28 if abs(u) == 54 else 20
            pen.line(((u, -reach), (u, reach)), LINE, 2)
        pen.line(((-30, 0), (30, 0)), LINE, 2)
        pen.line(((0, -33), (0, 33)), (30, 32, 36), 3)

    return Shape("tennis court", 82, 0, (), paint)


def football_pitch(colour: str) -> Shape:
    """A mown pitch with its lines and goals."""
    turf = COLOURS[colour]

    def paint(pen: Pen) -> None:
        for stripe in range(8):
            left = -88 + stripe * 22
            pen.box(left, -58, left + 22, 58, shade(turf, 0.92 if stripe % 2 else 1.08))
        for points in (
            ((-82, -52), (82, -52), (82, 52), (-82, 52), (-82, -52)),
            ((0, -52), (0, 52)),
            ((-82, -26), (-54, -26), (-54, 26), (-82, 26)),
            ((82, -26), (54, -26), (54, 26), (82, 26)),
            disc_outline(20) + disc_outline(20)[:1],
        ):
            pen.line(points, LINE, 3)

    return Shape("football pitch", 98, 0, (), paint)


def swimming_pool(colour: str) -> Shape:
    """A pool with a pale rim and lanes."""
    water = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.box(-52, -34, 52, 34, (224, 216, 200))
        pen.box(-44, -26, 44, 26, shade(water, 0.8))
        pen.box(-42, -22, 44, 26, mix(water, (120, 220, 240), 0.3))
        for v in (-9, 2, 13):
            pen.line(((-42, v), (44, v)), mix(water, (240, 250, 255), 0.55), 1.5)

    return Shape("swimming pool", 58, 0, (), paint)


def running_track(colour: str) -> Shape:
    """An oval track around grass."""
    lane = COLOURS[colour]

    def oval(pen: Pen, half: float, radius: float, fill: RGB) -> None:
        pen.box(-half, -radius, half, radius, fill)
        pen.disc(-half, 0, radius, fill)
        pen.disc(half, 0, radius, fill)

    def paint(pen: Pen) -> None:
        oval(pen, 36, 48, lane)
        for ring, tone in ((42, LINE), (40, lane), (34, LINE), (32, lane), (26, LINE), (24, (96, 144, 72))):
            oval(pen, 36, ring, tone)

    return Shape("running track", 86, 0, (), paint)


def round_field(colour: str) -> Shape:
    """A field watered by a turning arm: rings and the arm itself."""
    crop = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.disc(0, 0, 70, shade(crop, 0.7))
        for ring in range(9):
            pen.disc(0, 0, 67 - ring * 7.4, shade(crop, 0.86 + 0.1 * (ring % 2)))
        pen.line(((0, 0), (66, 12)), (206, 206, 200), 2)
        pen.disc(0, 0, 4, (214, 214, 208))

    return Shape("round field", 72, 0, (), paint)


def striped_field(colour: str) -> Shape:
    """A rectangular field with furrows."""
    crop = COLOURS[colour]

    def paint(pen: Pen) -> None:
        pen.box(-74, -48, 74, 48, shade(crop, 0.62))
        for furrow in range(12):
            top = -44 + furrow * 7.4
            pen.box(-70, top, 70, top + 4.6, shade(crop, 0.9 + 0.16 * (furrow % 3) / 2))

    return Shape("striped field", 84, 0, (), paint)


def parasol(colour: str) -> Shape:
    """An eight-sided sunshade of coloured and white panels."""
    cloth = COLOURS[colour]
    rim = disc_outline(34, 8)

    def paint(pen: Pen) -> None:
        for panel in range(8):
            light = 1.08 if panel in (4, 5, 6) else 0.84
            tone = shade(cloth, light) if panel % 4 else shade(mix(cloth, LINE, 0.8), light)
            pen.polygon((rim[panel], rim[(panel + 1) % 8], (0, 0)), tone)
        pen.disc(0, 0, 3, (240, 236, 226))

    return Shape("parasol", 36, 20, rim, paint)


def tree(chance: random.Random, foliage: tuple[RGB, ...] = ((58, 104, 48), (76, 122, 56))) -> Shape:
    """A crown of leaves of its own size and tone."""
    leaf = shade(chance.choice(foliage), chance.uniform(0.85, 1.15))
    radius = chance.uniform(15, 23)
    tufts = [
        (radius * 0.55 * math.cos(turn), radius * 0.55 * math.sin(turn), radius * chance.uniform(0.42, 0.62))
        for turn in (2 * math.pi * (tuft + chance.random()) / 7 for tuft in range(7))
    ]

    def paint(pen: Pen) -> None:
        pen.disc(0, 0, radius * 0.8, shade(leaf, 0.7))
        for u, v, size in tufts:
            pen.disc(u, v, size, shade(leaf, 0.86 - 0.3 * (u + v) / radius))
        pen.disc(-radius * 0.25, -radius * 0.25, radius * 0.4, shade(leaf, 1.2))

    return Shape("tree", radius, 22, disc_outline(radius, 12), paint)


def container(colour: str) -> Shape:
    """A stack of shipping containers."""
    steel = COLOURS[colour]

    def paint(pen: Pen) -> None:
        for row in range(3):
            top = -36 + row * 25
            pen.box(-56, top, 56, top + 22, shade(steel, 0.78 + 0.16 * ((row + 1) % 2)))
            for x in range(-50, 56, 8):
                pen.line(((x, top), (x, top + 22)), shade(steel, 0.7), 1.5)

    return Shape("container stack", 68, 26, box_outline(112, 75), paint)
