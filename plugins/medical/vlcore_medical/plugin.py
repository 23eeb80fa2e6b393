"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries

_READERS = {
    "brats": "MRI of brain tumours in four modalities with masks (BraTS), grouped by patient",
    "chexpert": "chest X-rays with 14 observations, uncertain ones apart (CheXpert), grouped by patient",
    "chexpert_plus": "chest X-rays with reports in sections (CheXpert Plus), grouped by patient",
    "covid_cxr": "chest X-rays with clinical notes (covid-chestxray), grouped by patient",
    "dicom_folder": "previews of DICOM images that `vlcore medical ingest` wrote, grouped by patient",
    "medicat": "figures of articles with captions and references (MedICaT), grouped by article",
    "medmnist": "small standardised images with labels (MedMNIST)",
    "mimic_cxr": "chest X-rays with reports (MIMIC-CXR and -JPG), grouped by patient, prior studies known",
    "msd": "volumes with masks (Medical Segmentation Decathlon, MONAI's dataset.json)",
    "nih_chest_xray": "chest X-rays with labels and the official split (NIH ChestX-ray14), grouped by patient",
    "open_i": "chest X-rays with reports (Open-I, IU X-Ray), grouped by report",
    "padchest": "chest X-rays with Spanish reports and findings (PadChest), grouped by patient",
    "pathvqa": "questions about images of pathology textbooks (PathVQA), grouped by image",
    "pmc_oa": "figures of open-access articles with captions (PMC-OA), grouped by article",
    "qata_mosmed": "images with masks and descriptions of infected lungs (QaTa-COV19, MosMedData+)",
    "r2gen": "chest X-rays with reports in R2Gen's annotation.json, grouped by patient or report",
    "roco": "figures of articles with captions and concepts (ROCO, ROCOv2), grouped by article",
    "siim": "chest X-rays with run-length encoded masks of pneumothorax (SIIM-ACR)",
    "slake": "questions in English and Chinese about radiology images (SLAKE), grouped by image",
    "vqa_med": "questions about images of MedPix (VQA-Med 2019), grouped by image",
    "vqa_rad": "questions of clinicians about radiology images (VQA-RAD), grouped by image",
}
"""Names and summaries; `medical/<name>` is `read_<name>` of the module `readers.<name>`."""


_TASKS = {
    "m3ae": ("task:M3AETask", "pre-training of M3AE: masked words, masked pixels, matching"),
    "m3ae_answers": ("answer_task:M3AEAnswerTask", "fine-tuning of M3AE: questions about images, or classes"),
    "m3ae_ranking": ("ranking_task:M3AERankingTask", "fine-tuning of M3AE: which text belongs to an image"),
}
"""Place in the module `m3ae` and summary of every task."""

_COMMANDS = {
    "ask": "ask a question about an image",
    "convert_m3ae": "turn a released M3AE checkpoint into a model directory",
    "fit_answers": "train a model that answers questions about images",
    "fit_reports": "train a model that writes reports of images",
    "ingest": "turn DICOM files into a table of studies with previews",
    "label": "label the findings of radiology reports",
    "report": "write a report of an image",
    "score_reports": "score generated reports beside a floor",
}
"""Module and summary of every command; its name is the module's with dashes."""


def register(registries: Registries) -> None:
    """Register readers, tasks, prompt sets and commands, by reference."""
    for name, summary in _READERS.items():
        target = f"vlcore_medical.readers.{name}:read_{name}"
        registries.readers.register(f"medical/{name}", target, summary=summary)
    registries.prompts.register(
        "medical/chest_xray",
        "vlcore_medical.prompts:CHEST_XRAY",
        summary="sentences of chest X-ray reports around a finding",
    )
    for name, (target, summary) in _TASKS.items():
        registries.tasks.register(f"medical/{name}", f"vlcore_medical.m3ae.{target}", summary=summary)
    for command, summary in _COMMANDS.items():
        target = f"vlcore_medical.cli.{command}:{command}"
        registries.commands.register(f"medical/{command.replace('_', '-')}", target, summary=summary)


PLUGIN = Plugin(
    name="medical",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("pydicom", "defusedxml", "openpyxl"),
    extra="medical",
    summary="medical images with reports, questions, labels and masks",
)
