"""What this package brings to vlcore; importing it is cheap."""

from __future__ import annotations

from vlcore.plugins import PLUGIN_API_VERSION, Plugin
from vlcore.registry import Registries

READERS = (
    ("air_slt", "air_slt:read_air_slt", "sentences with their polygons in large scenes (AIR-SLT)"),
    ("amfmn", "amfmn:read_amfmn", "captioned tiles in the text form of AMFMN: <split>_caps.txt, <split>_filename.txt"),
    ("bigearthnet", "bigearthnet:read_bigearthnet", "Sentinel-2 patches with 19 land cover classes, versions 1 and 2"),
    (
        "captions_side_files",
        "captions_side_files:read_captions_side_files",
        "captioned tiles with translations in captions.<lang>.jsonl beside them",
    ),
    ("eurosat_ms", "eurosat_ms:read_eurosat_ms", "Sentinel-2 chips with 13 bands and a class (EuroSAT MS)"),
    (
        "karpathy",
        "karpathy:read_karpathy",
        "captioned tiles in the layout of RSICD, UCM-Captions and Sydney-Captions",
    ),
    ("llava_json", "llava_json:read_llava_json", "conversations about images (GeoChat, VHM, EarthGPT)"),
    ("nwpu_captions", "nwpu_captions:read_nwpu_captions", "the tiles of RESISC45 with five captions each"),
    ("rs5m", "rs5m:read_rs5m", "five million captioned images in tars (RS5M)"),
    ("rs5m_captions", "rs5m:read_rs5m_captions", "lists of images and captions of RS5M in CSV"),
    ("rsitmd", "rsitmd:read_rsitmd", "captioned tiles with a class (RSITMD)"),
    ("rsivqa", "rsivqa:read_rsivqa", "questions about images in lines image:question?answer (RSIVQA)"),
    ("rsvqa", "rsvqa:read_rsvqa", "questions about images in low and high resolution and xBEN (RSVQA)"),
    (
        "scene_folders",
        "scene_folders:read_scene_folders",
        "one folder a class: EuroSAT RGB, RESISC45, AID, WHU-RS19, RSSCN7, PatternNet",
    ),
    ("skyscript", "skyscript:read_skyscript", "images with captions of OpenStreetMap tags in CSV (SkyScript)"),
    (
        "skyscript_benchmark",
        "skyscript:read_skyscript_benchmark",
        "classification benchmarks in the form of SkyScript: CSV and classnames.txt",
    ),
)
"""Name, function and summary of every reader."""


METRICS = (
    ("semantic_localisation", "semantic_localisation", "how well a heat map finds a sentence's regions (SeLo)"),
    ("question_accuracies", "question_answering", "accuracies by type of question (RSVQA)"),
    ("language_retention", "languages", "how much of its score in English a model keeps in other languages"),
)
"""Function, module and summary of every metric."""

TASKS = (
    (
        "rs_m_clip",
        "tasks.rs_m_clip:RSMClipTask",
        "contrastive alignment with self-distillation of the image tower",
    ),
    ("semantic_experts", "semantic_experts.task:SemanticExpertTask", "trains semantic experts on an aligned model"),
)
"""Name, class and summary of every task."""

COMMANDS = (
    ("heatmap", "map how well each place of a scene fits your words"),
    ("index", "make the tiles of your scenes searchable"),
    ("interpolate", "go part of the way from a base model to a tuned one, so that less is forgotten"),
    ("search", "find tiles of your scenes by words or by an example"),
)
"""Name and summary of every command; its module has its name."""


def register(registries: Registries) -> None:
    """Register readers, tasks, prompt sets, metrics and commands, by reference."""
    for name, target, summary in READERS:
        registries.readers.register(
            f"remote_sensing/{name}", f"vlcore_remote_sensing.readers.{target}", summary=summary
        )
    for name, target, summary in TASKS:
        registries.tasks.register(f"remote_sensing/{name}", f"vlcore_remote_sensing.{target}", summary=summary)
    registries.prompts.register(
        "remote_sensing/aerial",
        "vlcore_remote_sensing.prompts:AERIAL",
        summary="sentences about scenes seen from above",
    )
    registries.prompts.register(
        "remote_sensing/captions",
        "vlcore_remote_sensing.prompts:CAPTIONS",
        summary="sentences as those of RSICD's captions",
    )
    for name, module, summary in METRICS:
        target = f"vlcore_remote_sensing.metrics.{module}:{name}"
        registries.metrics.register(f"remote_sensing/{name}", target, summary=summary)
    for command, summary in COMMANDS:
        target = f"vlcore_remote_sensing.cli.{command}:{command}"
        registries.commands.register(f"remote-sensing/{command}", target, summary=summary)


PLUGIN = Plugin(
    name="remote_sensing",
    register=register,
    api_version=PLUGIN_API_VERSION,
    requires=("rasterio", "geopandas"),
    extra="remote_sensing",
    summary="aerial and satellite scenes",
)
