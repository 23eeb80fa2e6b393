"""What a report is made of: plain values, each part optional."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from PIL import Image

FetchImage = Callable[[str], "Image.Image | NDArray[Any] | None"]
"""From a record's id to its image: Pillow or `[H, W, 3]` uint8; None, or an error, where it cannot be read."""


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; what is empty is left out of the page.

    Attributes:
        title: of the page.
        command: that made the run, to run again.
        result: `EvaluationResult.to_dict()`, or None where nothing was scored.
        candidates: what was tried, the chosen one first, as `Candidate.to_dict()`: `name`, `settings`, `scores` of
            the held-out parts, `mean` and `std` in per cent, `seconds`.
        curves: by name, `(step, value)` of the training, such as the loss.
        ranks: by direction (`image_to_text`, `text_to_image`), rank from 1 of each query's best correct item.
        data: counts of the manifest: records, captions, languages, splits.
        audit: `SplitAudit.to_dict()`.
        model: `ModelCard.to_dict()`: towers with sources and licences, versions, training.
        image_of: fetches images for the examples by record id; without it they are named only.
    """

    title: str
    command: str = ""
    result: Mapping[str, Any] | None = None
    candidates: Sequence[Mapping[str, Any]] = ()
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    ranks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    image_of: FetchImage | None = None
