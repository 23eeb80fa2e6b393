"""Why a tile is where it is: the concepts that were looked up for it, with their weights."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vlcore.errors import ConfigurationError
from vlcore.files import atomic_write
from vlcore.retrieval.images import ImageLike, image_batches
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.semantic_experts.concept import LEVELS
from vlcore_remote_sensing.semantic_experts.expert_model import expert_head

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NULL = "(nothing of the table)"
"""Name of the null concept."""


@dataclass(frozen=True, slots=True)
class ConceptWeight:
    """What one concept counts for in one tile.

    Attributes:
        tile: number of the image, from 0.
        level: of the concept.
        concept_id: in the knowledge base; empty for the null concept.
        name: English label.
        weight: share of the level times attention to the concept, 0..1; those of a tile sum to 1.
    """

    tile: int
    level: str
    concept_id: str
    name: str
    weight: float


@torch.inference_mode()
def explain(model: Model, images: Sequence[ImageLike], batch_size: int = 64) -> list[ConceptWeight]:
    """Concepts of each image with their weights, heaviest first within an image.

    Weights say what the experts looked at. How far they moved the embedding is learned besides (`scale`): before any
    training the concepts are those nearest to the image, and move nothing.

    Args:
        model: with semantic experts.
        images: paths, PIL images or arrays, as for `Model.embed_images`.
        batch_size: images per forward pass.

    Raises:
        ConfigurationError: if the model has no semantic experts.
        ImageDecodeError: if an image cannot be decoded.
    """
    head = expert_head(model.network)
    weights: list[ConceptWeight] = []
    tile = 0
    for pixels in image_batches(images, model.preprocess, batch_size, False, "raise", None):
        output = head.enrich(model.network.image_features(pixels.to(model.device)).float())
        for row in range(len(pixels)):
            found = []
            for place, (level, result) in enumerate(zip(LEVELS, output.levels, strict=True)):
                names = head.of_level(level)
                concepts = [("", NULL), *((names[index].id, names[index].name) for index in result.rows[row].tolist())]
                shares = (output.gate[row, place] * result.weight[row]).tolist()
                found += [ConceptWeight(tile, level, *one, share) for one, share in zip(concepts, shares, strict=True)]
            weights += sorted(found, key=lambda one: -one.weight)
            tile += 1
    return weights


def write_explanation(path: Path | str, weights: Sequence[ConceptWeight]) -> None:
    """Write a CSV table, one concept of one tile per row."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [field.name for field in fields(ConceptWeight)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(weight) for weight in weights)


def draw_explanation(pixels: np.ndarray, weights: Sequence[ConceptWeight], most: int = 8) -> Figure:
    """Draw a tile beside a bar for each of its heaviest concepts, coloured by level.

    Args:
        pixels: `[H, W, 3]` uint8 of the tile.
        weights: of this tile alone.
        most: bars.

    Raises:
        ConfigurationError: if the weights are not those of one tile.
    """
    from matplotlib.figure import Figure  # not pyplot: it would choose a window system
    from matplotlib.patches import Patch

    if len({weight.tile for weight in weights}) != 1:
        raise ConfigurationError("draw_explanation shows one tile: give the weights whose `tile` is its number.")
    colours = dict(zip(LEVELS, ("tab:orange", "tab:green", "tab:blue"), strict=True))
    shown = sorted(weights, key=lambda weight: -weight.weight)[:most]
    figure = Figure(figsize=(7, 3), layout="constrained")
    picture, bars = figure.subplots(1, 2, width_ratios=(1, 1.4))
    picture.imshow(pixels)
    picture.set_axis_off()
    bars.barh(
        range(len(shown)),
        [one.weight for one in shown],
        color=[colours[one.level] for one in shown],  # type: ignore[index]
    )
    bars.set_yticks(range(len(shown)), [one.name for one in shown])
    bars.invert_yaxis()
    bars.set_xlabel("weight")
    bars.legend(handles=[Patch(color=colour, label=level) for level, colour in colours.items()], fontsize="small")
    return figure
