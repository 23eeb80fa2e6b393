"""How a score was measured, so that another person can measure it again."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

import vlcore
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.hub.model_card import command_line
from vlcore.retrieval.evaluation_set import EvaluationSet

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest
    from vlcore.retrieval.model import Model

TIE_RULE = "pessimistic: rank = 1 + incorrect items that score at least as high as the best correct one"


def protocol_of(
    model: Model,
    manifest: Manifest,
    chosen: EvaluationSet,
    report: DecodeReport,
    *,
    split: str | None,
    lang: str | None,
    on_bad_image: OnBadImage,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Everything besides the scores that a result needs to be understood; plain values."""
    captioned = len(set(chosen.caption_image))
    return {
        "split": split,
        "language": lang,
        "images": len(chosen.ids),
        "captions": len(chosen.captions),
        "distinct_captions": len(set(chosen.text_keys().tolist())),
        "images_without_captions": len(chosen.ids) - captioned,
        "distinct_images": len(set(chosen.contents)),
        "truncated_captions": model.count_truncated(chosen.captions),
        "context_length": model.network.text_encoder.context_length,
        "on_bad_image": on_bad_image,
        "skipped_images": report.skipped,
        "replaced_images": report.replaced,
        "bad_images": [{"id": name, "place": place, "reason": reason} for name, place, reason in report.problems],
        "tie_rule": TIE_RULE,
        "bootstrap": {
            "repeats": bootstrap,
            "seed": seed,
            "level": 0.95,
            "unit": "group" if chosen.grouped else "image",
        },
        "model": None if model.path is None else str(model.path),
        "model_fingerprint": model.fingerprint,
        "manifest": str(manifest.path),
        "manifest_fingerprint": manifest.fingerprint(),
        "device": str(model.device),
        "versions": {
            "vlcore": vlcore.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "command": command_line(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
