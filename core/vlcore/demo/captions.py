"""Five captions of a scene, each with other words and another choice of its facts."""

from __future__ import annotations

import random

from vlcore.demo.facts import Extra, SceneFacts, SceneKind

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
VIEWS = (
    "an aerial view of",
    "an aerial image of",
    "a view from above of",
    "a satellite image of",
    "seen from the air:",
)
ROOFED = ("residential area", "forest")
"""Kinds whose things can be told by their roofs."""


def captions(facts: SceneFacts, kind: SceneKind, chance: random.Random) -> list[str]:
    """Put the facts into words, five times."""
    words = _Words(facts, kind, chance)
    return [words.plain(), words.view(), words.corner(), words.full(), words.brief()]


class _Words:
    def __init__(self, facts: SceneFacts, kind: SceneKind, chance: random.Random) -> None:
        self._facts, self._kind, self._chance = facts, kind, chance
        self._setting = kind.settings[facts.setting]
        # Every caption says where things lie in other words than the one before it.
        phrases = kind.arrangements[facts.arrangement].phrases
        start = chance.randrange(len(phrases))
        self._arrangements = [phrases[(start + step) % len(phrases)] for step in range(5)]

    def plain(self) -> str:
        """Things, how they lie, and the ground."""
        return f"{self._things()} {self._lie()} {self._chance.choice(self._setting.phrases)}"

    def view(self) -> str:
        """The kind of scene and what is in it."""
        adjective, noun = self._chance.choice(self._setting.adjectives), self._chance.choice(self._kind.synonyms)
        scene = f"{adjective} {noun}"
        scene = scene if noun in ("farmland", "countryside") else with_article(scene)
        extra = self._facts.extra
        rest = self._lie() if extra is None else f"and {described(extra)}"
        return f"{self._chance.choice(VIEWS)} {scene} with {self._things()} {rest}"

    def corner(self) -> str:
        """What lies in the corner comes first."""
        extra = self._facts.extra
        if extra is None:
            noun = self._chance.choice(self._kind.synonyms)
            return f"{self._things()} and nothing else, {self._lie()}, in a picture of {self._scene(noun)}"
        return f"{described(extra)} in the {extra.corner} corner and {self._things()} {self._lie()}"

    def full(self) -> str:
        """Everything, as a sentence."""
        things, one = self._things(), self._facts.count == 1
        verb = "is" if one else "are"
        extra = self._facts.extra
        ground = self._chance.choice(self._setting.phrases)
        if extra is None:
            return f"There {verb} {things} {self._lie()} {ground}."
        return f"There {verb} {things} {self._lie()} {ground}, with {described(extra)} at the {extra.corner}."

    def brief(self) -> str:
        """As one would type it into a search box: no number."""
        colour, (one, many) = self._facts.colour, self._chance.choice(self._kind.things)
        noun = one if self._facts.count == 1 else many
        extra = self._facts.extra
        also = "" if extra is None else f", and {described(extra)}"
        return f"{colour} {noun} {self._chance.choice(self._setting.phrases)}, {self._lie()}{also}"

    def _things(self) -> str:
        count, colour = self._facts.count, self._facts.colour
        one, many = self._chance.choice(self._kind.things)
        if self._kind.name in ROOFED and self._chance.random() < 0.4:
            if count == 1:
                return f"{with_article(one)} with a {colour} roof"
            return f"{NUMBERS[count]} {many} with {colour} roofs"
        if count == 1:
            return self._chance.choice((with_article(f"{colour} {one}"), f"one {colour} {one}"))
        return f"{NUMBERS[count]} {colour} {many}"

    def _lie(self) -> str:
        return self._arrangements.pop(0)

    def _scene(self, noun: str) -> str:
        return noun if noun in ("farmland", "countryside") else with_article(noun)


def described(extra: Extra) -> str:
    """`a blue swimming pool`."""
    return with_article(f"{extra.colour} {extra.noun}")


def with_article(noun: str) -> str:
    """Put `a` or `an` before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
