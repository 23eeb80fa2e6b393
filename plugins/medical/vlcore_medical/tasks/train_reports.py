"""From a manifest of images with reports to a model directory that writes them, with its scores beside their floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.align.data import TEST, describe, with_splits
from vlcore.data.manifest import Manifest
from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore.models.headed_towers import HeadedTowers
from vlcore_medical.metrics.report_scores import Scores, report_scores
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.report_generation import (
    SETTINGS,
    constant_report,
    fit_reports,
    nearest_reports,
)
from vlcore_medical.tasks.report_words import plain_words
from vlcore_medical.tasks.report_writer import Memory
from vlcore_medical.tasks.studies import Study, encode_studies, group_studies, single_images

PURPOSE = "Writes reports of medical images: vlcore medical report IMAGE -m THIS_FOLDER."
WRITTEN = "written"
Views = Literal["image", "study"]


@dataclass(frozen=True)
class ReportTraining:
    """What was trained, and how well it writes.

    Attributes:
        reports: number of them in train and val, and in test.
        without: images, or studies, that were left out because they have no report with words.
        scores: on the test split, or None where the manifest has none: of what is `written`, of the most frequent
            report of training (`constant`), and of the report of the nearest training image (`nearest`).
    """

    reports: tuple[int, int]
    without: int
    scores: dict[str, Scores] | None


def train_reports(
    manifest: Manifest,
    output: Path,
    tower: TokenEncoder,
    cache: Path,
    *,
    kinds: Sequence[str] = (),
    views: Views = "image",
    prior: bool = False,
    settings: FitSettings = SETTINGS,
    least: int = 2,
    longest: int = 60,
    beams: int = 3,
    seed: int = 0,
    command: str = "",
    progress: bool = True,
) -> ReportTraining:
    """Train a decoder on the cells of a frozen image tower, look at the test split once, save.

    Args:
        manifest: images with reports; without split names vlcore assigns 80 % train and 20 % test by group.
        output: model directory to write.
        tower: frozen, its tokens.
        cache: folder of cached features.
        kinds: of the texts that make up a report, in this order; all of them, as they come, if empty.
        views: `image` writes a report of each image; `study` one of all images that the reader gave one study.
        prior: with `study`, read the images of the patient's study before it too.
        settings: how it is trained.
        least: how often a word must come to be written.
        longest: the most words of a report, start and end included; longer ones are cut.
        beams: of the search that is scored.
        seed: of splits, weights, order and dropout.
        command: for the model card.
        progress: show bars on standard error.

    Raises:
        ConfigurationError: if there are no reports of these kinds, or prior images are asked for without studies.
        ImageDecodeError: for an image that cannot be read.
        ModelDirectoryError: if `output` holds something that is no model directory.
    """
    if prior and views == "image":
        raise ConfigurationError("Prior images belong to studies: choose views='study' with prior.")
    records, assigned = with_splits(list(manifest), seed)
    studies = group_studies(records, prior=prior) if views == "study" else single_images(records)
    kept = [(study, text) for study in studies if plain_words(text := report_of(study, kinds))]
    train, test = ([one for one in kept if (one[0].images[0].split == TEST) == held_out] for held_out in (False, True))
    if not train:
        found = sorted({text.kind for record in records for text in record.texts})
        raise ConfigurationError(
            f"{manifest.path}: no training record has a report of the kinds {list(kinds) or 'it has'}. Kinds there: "
            f"{', '.join(found) or 'none'}."
        )
    reports = [text for _, text in train]
    memory = encode_studies([study for study, _ in train], tower, cache, prior=prior, progress=progress)
    writer = fit_reports(memory, reports, settings, least=least, longest=longest, seed=seed)
    scores = None
    if test:
        asked = encode_studies([study for study, _ in test], tower, cache, prior=prior, progress=progress)
        told = {
            WRITTEN: writer.write(asked, beams),
            "constant": [constant_report(reports)] * len(test),
            "nearest": nearest_reports(_pooled(memory), reports, _pooled(asked)),
        }
        scores = {name: report_scores(texts, [text for _, text in test]) for name, texts in told.items()}
    without = len(studies) - len(kept)
    data = describe([record for study, _ in kept for record in study.images], assigned=assigned)
    data |= {"reader": manifest.format, "without_a_report": without, "kinds": list(kinds)}
    data |= {"views": views, "prior_images": prior, "reports": {"train": len(train), TEST: len(test)}}
    card = ModelCard(
        name=output.resolve().name,
        purpose=PURPOSE,
        command=command,
        data=data,
        training={**asdict(settings), "least": least, "longest": longest, "beams": beams, "seed": seed},
        scores={} if scores is None else {TEST: scores[WRITTEN]},
        floors={name: {TEST: one} for name, one in (scores or {}).items() if name != WRITTEN},
    )
    save_model_directory(output, HeadedTowers(tower, None, writer), card)
    return ReportTraining((len(train), len(test)), without, scores)


def report_of(study: Study, kinds: Sequence[str]) -> str:
    """The texts that make up the report of a study: of the first of its images that has any of them."""
    for record in study.images:
        wanted = kinds or dict.fromkeys(text.kind for text in record.texts)
        if words := " ".join(text.text for kind in wanted for text in record.texts if text.kind == kind):
            return words
    return ""


def _pooled(memory: Memory) -> NDArray[np.float32]:
    """Mean `[B, W]` over the cells of each image."""
    mask = memory.mask[..., None]
    rows: NDArray[np.float32] = ((memory.features * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    return rows
