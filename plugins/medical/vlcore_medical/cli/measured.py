"""What was measured of a model, as it stands in its card: printed under whatever the model says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlcore.cli.console import print_table
from vlcore.hub.card_text import flatten
from vlcore.hub.model_card import ModelCard
from vlcore_medical.notice import RESEARCH_USE

PROTOCOL = ("reader", "splits", "splits_assigned_by_vlcore", "test_images_also_in_train")
"""Facts about the data that decide how far a score may be trusted."""


def measured(card: ModelCard, path: Path) -> dict[str, Any]:
    """Model, protocol, scores and floors, for programs."""
    protocol = {key: card.data[key] for key in PROTOCOL if key in card.data}
    return {"model": str(path), "protocol": protocol, "scores": card.scores, "floors": card.floors}


def print_measured(card: ModelCard, path: Path) -> None:
    """Print the model with its towers, the protocol, the scores beside their floors, and the notice."""
    towers = ", ".join(f"{side} tower {tower.get('source')}" for side, tower in card.towers.items())
    print(f"Model: {path} ({towers})")
    facts = {key.replace("_", " "): _plain(card.data[key]) for key in PROTOCOL if key in card.data}
    print(
        "Protocol: " + ("; ".join(f"{key} {value}" for key, value in facts.items()) or "not stated in the model card")
    )
    scores = flatten(card.scores)
    if not scores:
        print("Not scored: nothing is known of how often it is right.")
    else:
        floors = {name: flatten(values) for name, values in card.floors.items()}
        rows = [
            (key, _plain(value), *(_plain(floor.get(key, "")) for floor in floors.values()))
            for key, value in scores.items()
        ]
        print_table(("measured", "this model", *floors), rows)
    print(RESEARCH_USE)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " to ".join(_plain(one) for one in value)
    return f"{value:.1f}" if isinstance(value, float) else "" if value is None else str(value)
