"""Writing with a report decoder: the most probable word each time, or the best of several beginnings."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.report_decoder import ReportDecoder
from vlcore_medical.tasks.report_words import END, PAD, START, UNKNOWN

_NEVER = [PAD, START, UNKNOWN]
"""What is never written."""


@torch.inference_mode()
def greedy(decoder: ReportDecoder, memory: Tensor, mask: Tensor) -> list[list[int]]:
    """Words of each report without start and end, the most probable one each time.

    Args:
        decoder: in evaluation mode.
        memory: `[B, M, W]`.
        mask: `[B, M]` bool.
    """
    words = torch.full((len(memory), 1), START)
    ended = torch.zeros(len(memory), dtype=torch.bool)
    while words.shape[1] < decoder.longest and not ended.all():
        following = _log_probability(decoder, memory, mask, words).argmax(dim=1)
        following[ended] = PAD
        ended |= following == END
        words = torch.cat([words, following[:, None]], dim=1)
    return [[number for number in row if number not in (PAD, START, END)] for row in words.tolist()]


@torch.inference_mode()
def beam_search(decoder: ReportDecoder, memory: Tensor, mask: Tensor, beams: int = 3) -> list[list[int]]:
    """Words of each report: of all that were kept, the one with the highest mean log-probability of its words.

    Args:
        decoder: in evaluation mode.
        memory: `[B, M, W]`.
        mask: `[B, M]` bool.
        beams: beginnings that are kept.

    Raises:
        ConfigurationError: if there is no beam.
    """
    if beams < 1:
        raise ConfigurationError(f"beams={beams}: choose at least 1, such as 3.")
    return [_search(decoder, one[None], there[None], beams) for one, there in zip(memory, mask, strict=True)]


def _search(decoder: ReportDecoder, memory: Tensor, mask: Tensor, beams: int) -> list[int]:
    kept: list[tuple[float, list[int]]] = [(0.0, [START])]
    finished: list[tuple[float, list[int]]] = []
    while kept and len(kept[0][1]) < decoder.longest and not _settled(finished, kept, decoder.longest):
        words = torch.tensor([row for _, row in kept])
        scores = _log_probability(decoder, memory.expand(len(kept), -1, -1), mask.expand(len(kept), -1), words)
        total = torch.tensor([score for score, _ in kept], dtype=scores.dtype)[:, None] + scores
        best = total.flatten().topk(min(beams, int(total.isfinite().sum())))
        grown: list[tuple[float, list[int]]] = []
        for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            beam, number = divmod(place, total.shape[1])
            row = [*kept[beam][1], number]
            (finished if number == END else grown).append((value, row))
        kept = grown
    # A report that never ended counts with what it has.
    _, row = max(finished + kept, key=_mean)
    return [number for number in row if number not in (START, END)]


def _mean(scored: tuple[float, list[int]]) -> float:
    """Mean log-probability of the words of a row; of the start word alone, nothing is known."""
    total, row = scored
    return total / max(len(row) - 1, 1)


def _settled(finished: list[tuple[float, list[int]]], kept: list[tuple[float, list[int]]], longest: int) -> bool:
    """Whether no beginning can end better: every further word costs, and at best it costs nothing."""
    bound = max(total for total, _ in kept) / (longest - 1)
    return any(_mean(one) >= bound for one in finished)


def _log_probability(decoder: ReportDecoder, memory: Tensor, mask: Tensor, words: Tensor) -> Tensor:
    """Of the next word, `[B, V]` float64."""
    logits = decoder(memory, mask, words)[:, -1].double()
    logits[:, _NEVER] = -torch.inf
    scores: Tensor = logits.log_softmax(dim=1)
    return scores
