"""What a scene shows: chosen first, then drawn and put into words, so that picture and captions agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vlcore.demo.canvas import Canvas, Shape

CORNERS = ("upper left", "upper right", "lower left", "lower right")

# What cannot be told from the ground it lies on.
CLASHES = {
    ("grass", "green"),
    ("green forest", "green"),
    ("autumn forest", "orange"),
    ("autumn forest", "brown"),
    ("autumn forest", "yellow"),
    ("snow", "white"),
    ("snowy forest", "white"),
    ("white sand", "white"),
    ("concrete", "grey"),
    ("earth", "brown"),
    ("sand", "yellow"),
    ("black sand", "black"),
}

Layout = Callable[[Canvas, list[Shape]], None]
"""Draws what the things lie beside or along, and puts every thing."""


@dataclass(frozen=True)
class Setting:
    """The ground of a scene.

    Attributes:
        material: of the swatch.
        phrases: after a noun: `in the snow`.
        adjectives: before a noun: `snowy`.
    """

    material: str
    phrases: tuple[str, ...]
    adjectives: tuple[str, ...]


@dataclass(frozen=True)
class Arrangement:
    """How the things lie.

    Attributes:
        phrases: ways to say it, after a noun: `beside a river`.
        layout: draws it.
        corners: where something else may lie.
        fewest: things without which it cannot be said.
    """

    phrases: tuple[str, ...]
    layout: Layout
    corners: tuple[str, ...] = CORNERS
    fewest: int = 1


@dataclass(frozen=True)
class SceneKind:
    """One class of scenes; its name is the label.

    Attributes:
        name: noun.
        synonyms: other nouns for it.
        things: words for the main things, singular and plural; the first pair is the plain one.
        shape: draws one of them in a colour.
        colours: they come in.
        counts: fewest and most of them.
        settings: grounds by name.
        arrangements: by name.
        extras: something else that may lie in a corner: noun, its shape, and its colours.
        trees: most trees that are strewn in.
    """

    name: str
    synonyms: tuple[str, ...]
    things: tuple[tuple[str, str], ...]
    shape: Callable[[str], Shape]
    colours: tuple[str, ...]
    counts: tuple[int, int]
    settings: Mapping[str, Setting]
    arrangements: Mapping[str, Arrangement]
    extras: Mapping[str, tuple[Callable[[str], Shape], tuple[str, ...]]]
    trees: int = 0


@dataclass(frozen=True)
class Extra:
    """Something in a corner.

    Attributes:
        noun: what.
        colour: of it.
        corner: one of `CORNERS`.
    """

    noun: str
    colour: str
    corner: str


@dataclass(frozen=True)
class SceneFacts:
    """Everything that captions may say; names refer to the tables of the kind.

    Attributes:
        kind: label of the scene.
        setting: ground.
        colour: of the main things.
        count: how many there are.
        arrangement: how they lie.
        extra: something else, in most scenes.
    """

    kind: str
    setting: str
    colour: str
    count: int
    arrangement: str
    extra: Extra | None


def choose_facts(kind: SceneKind, chance: random.Random) -> SceneFacts:
    """Draw the facts of one scene of a kind; nothing has the colour of the ground it lies on."""
    setting = chance.choice(sorted(kind.settings))
    colour = chance.choice([name for name in kind.colours if (setting, name) not in CLASHES])
    arrangement = chance.choice(sorted(kind.arrangements))
    extra = None
    if chance.random() < 0.85:
        noun = chance.choice(sorted(kind.extras))
        # Another colour than the main things: "a red car beside red houses" tells less.
        others = [name for name in kind.extras[noun][1] if name != colour and (setting, name) not in CLASHES]
        if others:
            corner = chance.choice(kind.arrangements[arrangement].corners)
            extra = Extra(noun, chance.choice(others), corner)
    fewest = max(kind.counts[0], kind.arrangements[arrangement].fewest)
    return SceneFacts(kind.name, setting, colour, chance.randint(fewest, kind.counts[1]), arrangement, extra)
