"""Prompt sets for scenes seen from above."""

from __future__ import annotations

from vlcore.retrieval.prompts import PromptSet

CAPTIONS = PromptSet(
    name="remote_sensing/captions",
    templates=(
        "{}",
        "there is a {}",
        "a {} is near a road",
        "many {} are in this picture",
    ),
)
"""In the words of RSICD's captions; for models that were aligned on such."""

AERIAL = PromptSet(
    name="remote_sensing/aerial",
    templates=(
        "an aerial photo of {}",
        "a satellite image of {}",
        "{} seen from above",
        "there is {} in this remote sensing scene",
    ),
)
