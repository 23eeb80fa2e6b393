"""Scores with their protocol: split, prompts, versions, fingerprints, what was truncated or skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.progress import track
from vlcore.errors import EvaluationError
from vlcore.files import write_text
from vlcore.metrics.relevance import Relevance
from vlcore.metrics.retrieval import RetrievalRanks, retrieval_ranks
from vlcore.metrics.retrieval_scores import RetrievalScores, chance_scores, retrieval_intervals
from vlcore.retrieval.evaluation_set import EvaluationSet, embed_set
from vlcore.retrieval.examples import retrieval_examples
from vlcore.retrieval.prompts import PromptSet, prompt_set
from vlcore.retrieval.protocol import protocol_of
from vlcore.retrieval.rerank import RERANK_WEIGHT, RERANKED, Reranker
from vlcore.retrieval.two_stage import SecondStage
from vlcore.retrieval.zero_shot_scores import score_labels

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest
    from vlcore.retrieval.model import Model

SCHEMA = 1
VARIANTS = ("standard", "duplicate_tolerant")


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found; all scores but ranks are per cent.

    Attributes:
        retrieval: `standard` and `duplicate_tolerant`, each `image_to_text` and `text_to_image` with `r1`, `r5`,
            `r10`, `median_rank`, `mean_rank`, `queries`, `gallery`; `mean_recall`; `interval` and `chance` of the
            same form; `floor` by name; `reranked`, of the same form, where there was a second stage. None where no
            record has a caption.
        zero_shot: scores with `interval` and `floor`, or None where records have no labels.
        protocol: how it was measured.
        examples: by direction, `spread` and `worst` queries with their top hits.
    """

    retrieval: dict[str, Any] | None
    zero_shot: dict[str, Any] | None
    protocol: dict[str, Any]
    examples: dict[str, Any]

    @property
    def mean_recall(self) -> float | None:
        """Mean recall of the standard variant, per cent."""
        return None if self.retrieval is None else float(self.retrieval["standard"]["mean_recall"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": SCHEMA,
            "retrieval": self.retrieval,
            "zero_shot": self.zero_shot,
            "protocol": self.protocol,
            "examples": self.examples,
        }

    def save(self, path: Path | str) -> None:
        """Write JSON atomically; a NaN is an error, not a value."""
        write_text(path, json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def evaluate(
    model: Model,
    manifest: Manifest,
    *,
    split: str | None = "test",
    lang: str | None = None,
    prompts: PromptSet | str = "photo",
    labels_key: str = "label",
    bootstrap: int = 1000,
    seed: int = 0,
    floors: Mapping[str, Mapping[str, Any]] | None = None,
    batch_size: int = 64,
    on_bad_image: OnBadImage = "raise",
    reranker: Reranker | None = None,
    rerank_top: int = RERANKED,
    rerank_weight: float = RERANK_WEIGHT,
    progress: bool = False,
) -> EvaluationResult:
    """Score a model on the images and captions of a split.

    Args:
        model: to score.
        manifest: opened with the language that is to be scored.
        split: which records; None for all.
        lang: language the manifest was opened with, for the protocol.
        prompts: for zero-shot classification.
        labels_key: label to classify by.
        bootstrap: resamples of the 95 % intervals.
        seed: of the bootstrap.
        floors: by name, the `retrieval` part of another model's result on the same split, such as
            `{"closed_form": result.retrieval}`; shown beside the scores.
        batch_size: images per forward pass.
        on_bad_image: `raise`, or a policy that is counted in the protocol.
        reranker: puts the first items of every query in order; its scores stand beside the model's, as `reranked`.
        rerank_top: how many items of a query.
        rerank_weight: of its opinion; see `vlcore.retrieval.rerank.blend`.
        progress: show bars on standard error.

    Raises:
        EvaluationError: if the split is empty, nothing can be scored, or a floor is of another set.
        ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
    """
    report = DecodeReport()
    with track(None, "embedding images", progress) as advance:
        chosen, image = embed_set(
            model,
            manifest,
            split,
            labels_key,
            batch_size=batch_size,
            on_bad_image=on_bad_image,
            report=report,
            advance=advance,
        )
    text = model.embed_texts(chosen.captions, progress=progress)
    protocol = protocol_of(
        model,
        manifest,
        chosen,
        report,
        split=split,
        lang=lang,
        on_bad_image=on_bad_image,
        bootstrap=bootstrap,
        seed=seed,
    )
    zero_shot = score_labels(model, chosen, image, prompt_set(prompts), protocol, bootstrap=bootstrap, seed=seed)
    second = None
    if reranker is not None and chosen.captions:
        second = SecondStage(reranker, chosen, image, text, rerank_top, rerank_weight)
        protocol["reranked"] = second.protocol()
    return evaluate_embeddings(
        chosen,
        image,
        text,
        protocol=protocol,
        zero_shot=zero_shot,
        bootstrap=bootstrap,
        seed=seed,
        floors=floors,
        second_stage=second,
    )


def evaluate_embeddings(
    chosen: EvaluationSet,
    image: NDArray[np.float32],
    text: NDArray[np.float32],
    *,
    protocol: dict[str, Any],
    zero_shot: dict[str, Any] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    floors: Mapping[str, Mapping[str, Any]] | None = None,
    second_stage: SecondStage | None = None,
) -> EvaluationResult:
    """Score embeddings that are already there, such as projected cached features.

    Args:
        chosen: the set they belong to.
        image: `[N, D]`.
        text: `[M, D]`.
        protocol: how they were made.
        zero_shot: scores to carry along.
        bootstrap: resamples.
        seed: of the bootstrap.
        floors: see `evaluate`.
        second_stage: puts the first items in order, or None.
    """
    if not chosen.captions and zero_shot is None:
        raise EvaluationError(
            "Nothing can be scored: the records have neither texts for retrieval nor labels for classification."
        )
    if not chosen.captions:
        return EvaluationResult(None, zero_shot, protocol, {})
    relevances = dict(zip(VARIANTS, (chosen.relevance(), chosen.tolerant_relevance()), strict=True))
    retrieval, ranks = {}, {}
    for variant, relevance in relevances.items():
        ranks[variant] = retrieval_ranks(image, text, relevance)
        retrieval[variant] = _scored(ranks[variant], chosen, bootstrap, seed)
        retrieval[variant]["floor"] = {
            name: _floor(name, values, variant, ranks[variant]) for name, values in (floors or {}).items()
        }
        if second_stage is not None:
            after = second_stage.rank(ranks[variant], relevance)
            retrieval[variant]["reranked"] = _scored(after, chosen, bootstrap, seed)
    examples = retrieval_examples(chosen, image, text, ranks["standard"], relevances["duplicate_tolerant"])
    return EvaluationResult(retrieval, zero_shot, protocol, examples)


def score_pairs(image: NDArray[np.float32], text: NDArray[np.float32], relevance: Relevance) -> RetrievalScores:
    """Scores alone, for choosing between models on validation data."""
    return RetrievalScores.from_ranks(retrieval_ranks(image, text, relevance))


def _scored(ranks: RetrievalRanks, chosen: EvaluationSet, bootstrap: int, seed: int) -> dict[str, Any]:
    image_unit, text_unit = chosen.units()
    return {
        **RetrievalScores.from_ranks(ranks).to_dict(),
        "interval": retrieval_intervals(ranks, image_unit, text_unit, repeats=bootstrap, seed=seed),
        "chance": chance_scores(ranks).to_dict(),
    }


def _floor(name: str, values: Mapping[str, Any], variant: str, ranks: RetrievalRanks) -> dict[str, Any]:
    scores = RetrievalScores.from_dict(values.get(variant, {}))
    for side in ("image_to_text", "text_to_image"):
        theirs, ours = getattr(scores, side), getattr(ranks, side)
        if (theirs.queries, theirs.gallery) != (len(ours.rank), ours.gallery):
            raise EvaluationError(
                f"The floor {name!r} was measured on {theirs.queries} queries over {theirs.gallery} items "
                f"({side}), this evaluation on {len(ours.rank)} over {ours.gallery}. A floor of another set says "
                f"nothing; measure it on this one or leave it out."
            )
    return scores.to_dict()
