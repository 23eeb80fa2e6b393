"""The model card of a model between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from vlcore.data.manifest import Manifest
from vlcore.hub.model_card import ModelCard, command_line
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.interpolation.choose import CurvePoint


def interpolation_card(
    base: Model,
    tuned: Model,
    manifest: Manifest,
    split: str,
    points: Sequence[CurvePoint],
    alpha: float,
    name: str,
) -> ModelCard:
    """Say which models it lies between, how the place was chosen, and what both ends score.

    Args:
        base: that training started from.
        tuned: that it ended with.
        manifest: the place was chosen on.
        split: of the manifest, or `all`.
        points: the whole curve.
        alpha: that was chosen.
        name: of the model.
    """
    chosen = next(point for point in points if point.alpha == alpha)
    scores = {key: value for key, value in asdict(chosen).items() if value is not None and key != "alpha"}
    return ModelCard(
        name=name,
        command=command_line(),
        data={"chosen_on": manifest.path.name, "fingerprint": manifest.fingerprint(), "split": split},
        training={
            "task": "weight interpolation (WiSE-FT)",
            "alpha": alpha,
            "base": base.fingerprint,
            "tuned": tuned.fingerprint,
            "curve": [{key: value for key, value in asdict(point).items() if value is not None} for point in points],
        },
        scores={"chosen_on": scores},
    )
