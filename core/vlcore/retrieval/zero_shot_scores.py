"""Zero-shot classification of an evaluation set that has labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.metrics.classification import classification_floors, classification_intervals, classification_scores
from vlcore.retrieval.evaluation_set import EvaluationSet
from vlcore.retrieval.prompts import PromptSet
from vlcore.retrieval.zero_shot import label_embeddings, label_probabilities

if TYPE_CHECKING:
    from vlcore.retrieval.model import Model


MOST_CLASSES = 60
"""Classes up to which the confusion of each with each is counted."""


def score_labels(
    model: Model,
    chosen: EvaluationSet,
    image: NDArray[np.float32],
    prompts: PromptSet,
    protocol: dict[str, Any],
    *,
    bootstrap: int,
    seed: int,
) -> dict[str, Any] | None:
    """Score the images `[N, D]` that have a label among the labels that occur; None where fewer than two do.

    What was classified, or why nothing was, is written into the protocol.
    """
    labelled = [index for index, value in enumerate(chosen.labels) if _usable(value)]
    names = sorted({str(chosen.labels[index]) for index in labelled})
    protocol["zero_shot"] = {"labelled_images": len(labelled), "unlabelled_images": len(chosen.ids) - len(labelled)}
    if len(names) < 2:
        protocol["zero_shot"]["not_scored"] = f"{len(names)} single labels occur; classification needs two"
        return None
    protocol["zero_shot"] |= {"prompts": prompts.name, "templates": list(prompts.templates)}
    number = {name: place for place, name in enumerate(names)}
    target = np.array([number[str(chosen.labels[index])] for index in labelled])
    vectors = label_embeddings(model, names, prompts)
    probability = label_probabilities(image[labelled], vectors, model.logit_scale)
    unit = np.unique(chosen.units()[0][labelled], return_inverse=True)[1]
    return {
        **classification_scores(probability, target).to_dict(),
        "labels": names,
        "interval": classification_intervals(probability, target, unit, repeats=bootstrap, seed=seed),
        "floor": classification_floors(target, len(names)),
        **_confusion(target, probability.argmax(axis=1), len(names)),
    }


def _confusion(target: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Counts `[true][predicted]`; left out where no page could show them."""
    if classes > MOST_CLASSES:
        return {}
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (target, predicted), 1)
    return {"confusion": counts.tolist()}


def _usable(value: Any) -> bool:
    """True for a single label: a word or a whole number; lists and mappings are several labels."""
    return (isinstance(value, str) and bool(value.strip())) or (isinstance(value, int) and not isinstance(value, bool))
