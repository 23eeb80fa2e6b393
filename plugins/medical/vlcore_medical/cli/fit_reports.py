"""`vlcore medical fit-reports`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def fit_reports(
    manifest: Path,
    output: Path,
    reader: str = "medical/open_i",
    image_root: Path | None = None,
    kinds: list[str] | None = None,
    views: Literal["image", "study"] = "image",
    prior: bool = False,
    lang: str | None = None,
    image_encoder: str = "starter/efficientnet_lite0",
    epochs: int = 10,
    least: int = 2,
    longest: int = 60,
    beams: int = 3,
    seed: int = 0,
    cache: Path | None = None,
) -> None:
    """Train a model that writes reports of images, on a frozen image tower, and score it beside its floors.

    The test split is looked at once. Beside the scores stand those of one report for all images, and of the report of
    the nearest training image: a model that does not beat the two has learned how reports sound, and no more.

    Examples:
        vlcore medical fit-reports NLMCXR/ -o reports.model --kinds findings impression
        vlcore medical fit-reports annotation.json -o reports.model --reader medical/r2gen --views study
        vlcore medical fit-reports mimic-cxr/ -o reports.model --reader medical/mimic_cxr --views study --prior

    Args:
        manifest: what the reader reads.
        output: model directory to write.
        reader: of images with reports: open_i, mimic_cxr, r2gen, chexpert_plus, padchest; options behind a colon.
        image_root: folder that image paths start from; the reader's own choice if left out.
        kinds: of the texts that make up a report, in this order, such as findings impression; all if left out.
        views: write a report of each image, or one of all images of a study.
        prior: with studies, read the images of the patient's study before it too.
        lang: keep the reports of this language only.
        image_encoder: image tower with patches or a feature map, source/name.
        epochs: over all training images.
        least: how often a word must come to be written.
        longest: the most words of a report.
        beams: of the search that is scored.
        seed: of splits, weights and order.
        cache: folder of cached features; $VLCORE_CACHE or ~/.cache/vlcore if left out.
    """
    from dataclasses import replace

    from vlcore.data.feature_store import default_cache_root
    from vlcore.data.manifest import open_manifest
    from vlcore.encoders.token_encoder import build_image
    from vlcore.hub.model_card import command_line
    from vlcore_medical.cli.score_table import print_report_scores
    from vlcore_medical.tasks.report_generation import SETTINGS
    from vlcore_medical.tasks.train_reports import train_reports

    done = train_reports(
        open_manifest(manifest, reader=reader, image_root=image_root, lang=lang),
        output,
        build_image(image_encoder),
        cache or default_cache_root(),
        kinds=kinds or (),
        views=views,
        prior=prior,
        settings=replace(SETTINGS, epochs=epochs),
        least=least,
        longest=longest,
        beams=beams,
        seed=seed,
        command=command_line(),
    )
    print(
        f"{done.reports[0]:,} reports to learn from, {done.reports[1]:,} of test; {done.without:,} images without one"
    )
    if done.scores is None:
        print("No test split: not scored.")
    else:
        print_report_scores(done.scores, "Test split")
    print(f"Model: {output}\n\nNext:\n  vlcore medical report IMAGE -m {output}")
