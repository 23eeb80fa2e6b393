"""Recall of 5,000 images and 25,000 captions against open_clip's metrics code; 50,000 x 50,000 within 4 GiB."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import torch

from benchmarks.harness import interleaved, ratio, run_case, save, timed

IMAGES, CAPTIONS, SIZE = 5000, 5, 512


def _pairs(images: int, captions: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings with the right answer near the top, and the image of each caption."""
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(images, SIZE, generator=generator), dim=1)
    owner = torch.arange(images).repeat_interleave(captions)
    noise = torch.randn(images * captions, SIZE, generator=generator)
    return image, torch.nn.functional.normalize(image[owner] + 0.35 * noise, dim=1), owner


def open_clip_metrics() -> dict[str, Any]:
    """The algorithm of open_clip 3.3.0, `open_clip_train/train.py::get_clip_metrics`: full matrix and argsort.

    It takes one caption per image only; here its comparison with the ground truth is widened to five, the rest is
    its own sequence of operations.
    """
    image, text, owner = _pairs(IMAGES, CAPTIONS)

    def measure() -> tuple[np.ndarray, np.ndarray]:
        logits = (100.0 * image @ text.t()).detach().cpu()
        ranking = torch.argsort(logits, descending=True)
        found = owner[ranking] == torch.arange(len(image)).view(-1, 1)
        image_to_text = found.int().argmax(dim=1)
        ranking = torch.argsort(logits.t().detach().cpu(), descending=True)
        text_to_image = torch.where(ranking == owner.view(-1, 1))[1]
        return image_to_text.numpy() + 1, text_to_image.numpy() + 1

    ranks, seconds = timed(measure)
    return {"seconds": seconds, "ranks": _digest(ranks), "sum": [int(side.sum()) for side in ranks]}


def vlcore_metrics() -> dict[str, Any]:
    """`vlcore.metrics.retrieval.retrieval_ranks`."""
    from vlcore.metrics.relevance import Relevance
    from vlcore.metrics.retrieval import retrieval_ranks

    image, text, owner = _pairs(IMAGES, CAPTIONS)
    relevance = Relevance.from_pairs(owner.numpy(), np.arange(len(text)), images=len(image), texts=len(text))
    ranks, seconds = timed(lambda: retrieval_ranks(image, text, relevance))
    both = ranks.image_to_text.rank, ranks.text_to_image.rank
    return {"seconds": seconds, "ranks": _digest(both), "sum": [int(side.sum()) for side in both]}


def large(images: int = 50_000) -> dict[str, Any]:
    """50,000 x 50,000: seconds and how much the process grew."""
    from vlcore.metrics.relevance import Relevance
    from vlcore.metrics.retrieval import retrieval_ranks

    image, text, owner = _pairs(images, 1)
    relevance = Relevance.from_pairs(owner.numpy(), np.arange(len(text)), images=len(image), texts=len(text))
    ranks, seconds = timed(lambda: retrieval_ranks(image, text, relevance))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "peak_gib": peak, "mean_rank": float(ranks.text_to_image.rank.mean())}


def _digest(sides: tuple[np.ndarray, np.ndarray]) -> str:
    import hashlib

    return hashlib.sha256(b"".join(np.ascontiguousarray(side, dtype=np.int64).tobytes() for side in sides)).hexdigest()


def main(repeats: int = 5) -> None:
    """Compare ranks first, then time."""
    cases = {
        "open_clip": "benchmarks.retrieval_metrics:open_clip_metrics",
        "vlcore": "benchmarks.retrieval_metrics:vlcore_metrics",
    }
    runs = interleaved(cases, repeats)
    equal = len({run["ranks"] for side in runs.values() for run in side}) == 1
    speed = ratio(runs, "open_clip", "vlcore")
    big = run_case("benchmarks.retrieval_metrics:large")
    print(f"  ranks identical: {equal}; {speed['median']:.1f} x faster")
    print(f"  50,000 x 50,000: {big['seconds']:.0f} s, peak {big['peak_gib']:.2f} GiB")
    save("retrieval_metrics", {"ranks_identical": equal, "speedup": speed, "runs": runs, "large": big})
