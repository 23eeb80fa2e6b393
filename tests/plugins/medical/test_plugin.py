"""What the medical plugin registers."""

from __future__ import annotations

from vlcore.registry import Registries
from vlcore_medical.plugin import PLUGIN


def test_everything_registered_loads() -> None:
    registries = Registries()
    PLUGIN.register(registries)
    for registry in registries.all().values():
        for name, entry in registry.entries().items():
            assert entry.load() is not None, name
            assert entry.summary, name
    assert registries.readers.get("medical/covid_cxr").__name__ == "read_covid_cxr"
    assert registries.commands.get("medical/label").__name__ == "label"
    assert registries.readers.get("medical/dicom_folder").__name__ == "read_dicom_folder"
    assert registries.tasks.get("medical/m3ae").__name__ == "M3AETask"
    assert registries.commands.get("medical/convert-m3ae").__name__ == "convert_m3ae"
    tasks = {"m3ae": "M3AETask", "m3ae_answers": "M3AEAnswerTask", "m3ae_ranking": "M3AERankingTask"}
    for name, expected in tasks.items():
        assert registries.tasks.get(f"medical/{name}").__name__ == expected
    prompts = registries.prompts.get("medical/chest_xray")
    assert prompts.name == "medical/chest_xray"
    assert "a chest x-ray of a patient with pneumonia" in prompts.fill("pneumonia")
    assert all("pneumonia" in sentence for sentence in prompts.fill("pneumonia"))
