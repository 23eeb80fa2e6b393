"""Prompt sets for scenes seen from above."""

from __future__ import annotations

from vlcore.retrieval.prompts import PromptSet

AERIAL = PromptSet(
    name="remote_sensing/aerial",
    templates=(
        "an aerial photo of {}",
        "a satellite image of {}",
        "{} seen from above",
        "there is {} in this remote sensing scene",
    ),
)
