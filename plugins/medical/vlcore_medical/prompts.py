"""Prompt sets in the words of radiology."""

from __future__ import annotations

from vlcore.retrieval.prompts import PromptSet

CHEST_XRAY = PromptSet(
    name="medical/chest_xray",
    templates=(
        "a chest x-ray of a patient with {}",
        "frontal chest radiograph showing {}",
        "findings consistent with {}",
        "the lungs show signs of {}",
    ),
)
