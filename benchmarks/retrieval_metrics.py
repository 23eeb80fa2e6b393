"""Recall of 5,000 images and 25,000 captions against open_clip's metrics code; 50,000 x 50,000 within 4 GiB."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import torch

from benchmarks.harness import interleaved, ratio, run_case, save, timed

IMAGES, CAPTIONS, SIZE = 5000, 5, 512
GRID = 512
"""Embeddings are multiples of 1/512, so that every float32 dot product is exact in any order of addition."""
SCALE = 64.0
"""A power of two in the place of the logit scale: it keeps products exact."""


def _pairs(images: int, captions: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings with the right answer near the top, and the image of each caption."""
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(images, SIZE, generator=generator), dim=1)
    owner = torch.arange(images).repeat_interleave(captions)
    noise = torch.randn(images * captions, SIZE, generator=generator)
    text = torch.nn.functional.normalize(image[owner] + 0.35 * noise, dim=1)
    return *(torch.round(side * GRID) / GRID for side in (image, text)), owner  # type: ignore[return-value]


def open_clip_metrics() -> dict[str, Any]:
    """The algorithm of open_clip 3.3.0, `open_clip_train/train.py::get_clip_metrics`: full matrix and argsort.

    It takes one caption per image only; here its comparison with the ground truth is widened to five, the rest is
    its own sequence of operations.
    """
    image, text, owner = _pairs(IMAGES, CAPTIONS)

    def measure() -> tuple[np.ndarray, np.ndarray]:
        logits = (SCALE * image @ text.t()).detach().cpu()
        ranking = torch.argsort(logits, descending=True)
        found = owner[ranking] == torch.arange(len(image)).view(-1, 1)
        image_to_text = found.int().argmax(dim=1)
        ranking = torch.argsort(logits.t().detach().cpu(), descending=True)
        text_to_image = torch.where(ranking == owner.view(-1, 1))[1]
        return image_to_text.numpy() + 1, text_to_image.numpy() + 1

    ranks, seconds = timed(measure)
    return {"seconds": seconds, "ranks": [side.tolist() for side in ranks]}


def dense_ranks() -> dict[str, Any]:
    """Reference by counting in the full matrix: ranks with ties against the model, and in its favour."""
    image, text, owner = _pairs(IMAGES, CAPTIONS)
    score = image @ text.t()
    right = owner == torch.arange(len(image)).view(-1, 1)
    answer: dict[str, Any] = {"seconds": 0.0}
    for name, ahead in (("pessimistic", torch.ge), ("optimistic", torch.gt)):
        sides = []
        for scores, correct in ((score, right), (score.t(), right.t())):
            best = scores.masked_fill(~correct, -torch.inf).amax(dim=1, keepdim=True)
            sides.append((1 + (ahead(scores, best) & ~correct).sum(dim=1)).tolist())
        answer[name] = sides
    return answer


def vlcore_metrics() -> dict[str, Any]:
    """`vlcore.metrics.retrieval.retrieval_ranks`."""
    from vlcore.metrics.relevance import Relevance
    from vlcore.metrics.retrieval import retrieval_ranks

    image, text, owner = _pairs(IMAGES, CAPTIONS)
    relevance = Relevance.from_pairs(owner.numpy(), np.arange(len(text)), images=len(image), texts=len(text))
    ranks, seconds = timed(lambda: retrieval_ranks(image, text, relevance))
    both = ranks.image_to_text.rank, ranks.text_to_image.rank
    return {"seconds": seconds, "ranks": [side.tolist() for side in both]}


def large(images: int = 50_000) -> dict[str, Any]:
    """50,000 x 50,000: seconds and how much the process grew."""
    from vlcore.metrics.relevance import Relevance
    from vlcore.metrics.retrieval import retrieval_ranks

    image, text, owner = _pairs(images, 1)
    relevance = Relevance.from_pairs(owner.numpy(), np.arange(len(text)), images=len(image), texts=len(text))
    ranks, seconds = timed(lambda: retrieval_ranks(image, text, relevance))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "peak_gib": peak, "mean_rank": float(ranks.text_to_image.rank.mean())}


def main(repeats: int = 5) -> None:
    """Compare every rank first, then time."""
    cases = {
        "open_clip": "benchmarks.retrieval_metrics:open_clip_metrics",
        "vlcore": "benchmarks.retrieval_metrics:vlcore_metrics",
    }
    dense = run_case("benchmarks.retrieval_metrics:dense_ranks")
    worst, best = (np.concatenate(dense[name]) for name in ("pessimistic", "optimistic"))
    runs = interleaved(cases, repeats)
    ranks = {name: np.concatenate(side[0]["ranks"]) for name, side in runs.items()}
    for side in runs.values():
        for run in side:
            del run["ranks"]
    clear = worst == best
    equality = {
        "queries": len(worst),
        "tied_queries": int((~clear).sum()),
        "vlcore_equals_dense_pessimistic": bool((ranks["vlcore"] == worst).all()),
        "open_clip_equals_vlcore_without_ties": bool((ranks["open_clip"] == ranks["vlcore"])[clear].all()),
        # argsort puts tied items in any order, so there its rank is one of several.
        "open_clip_within_ties": bool(((best <= ranks["open_clip"]) & (ranks["open_clip"] <= worst)).all()),
    }
    speed = ratio(runs, "open_clip", "vlcore")
    big = run_case("benchmarks.retrieval_metrics:large")
    print(f"  {equality}; {speed['median']:.1f} x faster")
    print(f"  50,000 x 50,000: {big['seconds']:.0f} s, peak {big['peak_gib']:.2f} GiB")
    save("retrieval_metrics", {"equality": equality, "speedup": speed, "runs": runs, "large": big})
