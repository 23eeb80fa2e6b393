"""The one look at the test split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.align.data import TEST, EncodedRecords
from vlcore.align.features import PairedFeatures
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.source import read_bytes
from vlcore.data.stream import content_key
from vlcore.heads.base import Head
from vlcore.metrics.retrieval import retrieval_ranks
from vlcore.retrieval.evaluate import EvaluationResult, evaluate_embeddings
from vlcore.retrieval.evaluation_set import EvaluationSet
from vlcore.retrieval.prompts import prompt_set
from vlcore.retrieval.protocol import protocol_of
from vlcore.retrieval.zero_shot_scores import score_labels

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest
    from vlcore.retrieval.model import Model

FLOOR = "closed_form"


@dataclass(frozen=True)
class Scored:
    """Scores of the test split, or nothing where there is none.

    Attributes:
        result: scores with floors, intervals and protocol.
        ranks: by direction, rank of each query's best correct item.
    """

    result: EvaluationResult | None = None
    ranks: Mapping[str, list[int]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the result, if there is one."""
        if self.result is not None:
            self.result.save(path)

    def for_card(self) -> dict[str, Any]:
        """`scores` and `floors` of the model card."""
        if self.result is None or self.result.retrieval is None:
            return {}
        variants = self.result.retrieval
        scores = {name: _headline(values) for name, values in variants.items()}
        floors: dict[str, Any] = {"chance": {name: _headline(values["chance"]) for name, values in variants.items()}}
        for name in variants["standard"]["floor"]:
            floors[name] = {variant: _headline(values["floor"][name]) for variant, values in variants.items()}
        return {"scores": {TEST: scores}, "floors": {name: {TEST: values} for name, values in floors.items()}}


def score_test_split(
    model: Model,
    manifest: Manifest,
    test: EncodedRecords,
    floor: tuple[Head, Head],
    report: DecodeReport,
    *,
    lang: str | None,
    prompts: str,
    labels_key: str,
    on_bad_image: OnBadImage,
    bootstrap: int,
    seed: int,
) -> Scored:
    """Score the projected cached features of the test split, beside the floor's heads on the same features."""
    chosen = EvaluationSet()
    for record in test.records:
        chosen.add(record, content_key(read_bytes(record.image), record.image), labels_key)
    protocol = protocol_of(
        model,
        manifest,
        chosen,
        report,
        split=TEST,
        lang=lang,
        on_bad_image=on_bad_image,
        bootstrap=bootstrap,
        seed=seed,
    )
    network = model.network
    image, text = _embed((network.image_head, network.text_head), test.features)
    floors = {}
    if chosen.captions:
        beside = evaluate_embeddings(
            chosen, *_embed(floor, test.features), protocol=protocol, bootstrap=2, seed=seed
        ).retrieval
        floors = {} if beside is None else {FLOOR: beside}
    zero_shot = score_labels(model, chosen, image, prompt_set(prompts), protocol, bootstrap=bootstrap, seed=seed)
    result = evaluate_embeddings(
        chosen,
        image,
        text,
        protocol=protocol,
        zero_shot=zero_shot,
        bootstrap=bootstrap,
        seed=seed,
        floors=floors,
    )
    if not chosen.captions:
        return Scored(result)
    ranks = retrieval_ranks(image, text, chosen.relevance())
    return Scored(
        result,
        {
            "image_to_text": ranks.image_to_text.rank.tolist(),
            "text_to_image": ranks.text_to_image.rank.tolist(),
        },
    )


@torch.inference_mode()
def _embed(heads: tuple[Head, Head], features: PairedFeatures) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings `[N, D]` and `[M, D]` of unit norm."""
    image, text = (
        torch.nn.functional.normalize(head.eval()(side.to(_device(head))), dim=-1).cpu().numpy()
        for head, side in zip(heads, features.tensors, strict=True)
    )
    return image, text


def _device(head: Head) -> torch.device:
    return next(head.parameters()).device


def _headline(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        "mean_recall": values["mean_recall"],
        **{f"t2i_{cut}": values["text_to_image"][cut] for cut in ("r1", "r5", "r10")},
        **{f"i2t_{cut}": values["image_to_text"][cut] for cut in ("r1", "r5", "r10")},
    }
