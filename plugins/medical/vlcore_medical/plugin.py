"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries


def register(registries: Registries) -> None:
    """Register readers, prompt sets and commands, by reference."""
    registries.readers.register(
        "medical/covid_cxr",
        "vlcore_medical.covid_cxr:read_covid_cxr",
        summary="chest X-rays with clinical notes (covid-chestxray), grouped by patient",
    )
    registries.prompts.register(
        "medical/chest_xray",
        "vlcore_medical.prompts:CHEST_XRAY",
        summary="sentences of chest X-ray reports around a finding",
    )
    registries.commands.register(
        "medical/label",
        "vlcore_medical.cli.label:label",
        summary="label the findings of radiology reports",
    )


PLUGIN = Plugin(
    name="medical",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("pydicom",),
    extra="medical",
    summary="chest X-rays and reports",
)
