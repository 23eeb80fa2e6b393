"""What the medical plugin registers."""

from __future__ import annotations

import pytest

from vlcore.registry import Registries
from vlcore_medical.plugin import PLUGIN


def test_everything_registered_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    registries = Registries()
    PLUGIN.register(registries)
    assert registries.readers.get("medical/covid_cxr").__name__ == "read_covid_cxr"
    assert registries.commands.get("medical/label").__name__ == "label"
    assert registries.readers.get("medical/dicom_folder").__name__ == "read_dicom_folder"
    prompts = registries.prompts.get("medical/chest_xray")
    assert prompts.name == "medical/chest_xray"
    assert "a chest x-ray of a patient with pneumonia" in prompts.fill("pneumonia")
    assert all("pneumonia" in sentence for sentence in prompts.fill("pneumonia"))
