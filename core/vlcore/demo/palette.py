"""Named colours of the rendered scenes, and shading."""

from __future__ import annotations

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (196, 44, 38),
    "orange": (232, 124, 34),
    "yellow": (238, 202, 52),
    "green": (52, 146, 72),
    "turquoise": (54, 184, 178),
    "blue": (44, 92, 200),
    "purple": (132, 70, 166),
    "pink": (232, 128, 166),
    "brown": (124, 80, 50),
    "white": (242, 242, 238),
    "grey": (142, 144, 150),
    "black": (44, 44, 50),
}


def shade(colour: RGB, factor: float) -> RGB:
    """Darken (below 1) or lighten (above 1) a colour."""
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """Go from one colour to another; `share` 0 is the first, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
