"""Many texts through a text tower: distinct texts once, batches of like texts, rows in the order of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.encoders.base import TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.types import TokenBatch

WINDOW = 16_384
"""Texts that are tokenised and sorted together; memory does not grow with the corpus beyond it."""

TOKEN_BUDGET = 8_192
"""Tokens of a batch, padding included: enough for efficient matrix products, few enough for the cache."""


class TextFeatures(NamedTuple):
    """Pooled features of texts.

    Attributes:
        rows: `[N, W]` float32, in the order of the input.
        truncated: how many of the N texts were cut at the context length.
    """

    rows: NDArray[np.float32]
    truncated: int


def encode_texts(
    encoder: TextEncoder,
    texts: Sequence[str],
    *,
    token_budget: int = TOKEN_BUDGET,
    device: torch.device | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> TextFeatures:
    """Encode texts without gradients.

    Args:
        encoder: is put into evaluation mode meanwhile.
        texts: N texts.
        token_budget: the most tokens of a batch, padding included; a single text may exceed it.
        device: to move the tower to, or None for where it is.
        progress: called with the number of texts that were finished.

    Raises:
        ConfigurationError: if `texts` is a single string or the budget is not positive.
    """
    if isinstance(texts, str):
        raise ConfigurationError(f"Pass a list of texts, not the single text {texts!r}.")
    if token_budget < 1:
        raise ConfigurationError(f"token_budget={token_budget}: choose at least 1, such as {TOKEN_BUDGET}.")
    if device is not None:
        encoder.to(device)
    place = next(encoder.parameters()).device
    rows = np.empty((len(texts), encoder.width), dtype=np.float32)
    truncated = 0
    training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(texts), WINDOW):
                window = texts[start : start + WINDOW]
                numbers: dict[str, int] = {}
                inverse = np.array([numbers.setdefault(text, len(numbers)) for text in window])
                batch = encoder.tokenizer(list(numbers))
                truncated += int(batch.truncated.numpy()[inverse].sum())
                features = np.empty((len(numbers), encoder.width), dtype=np.float32)
                uses = np.bincount(inverse)
                for chosen in _batches(batch, encoder.shares_prefixes, token_budget):
                    longest = int(batch.attention_mask[chosen].sum(dim=1).max())
                    ids = batch.input_ids[chosen, :longest].to(place)
                    mask = batch.attention_mask[chosen, :longest].to(place)
                    features[chosen] = encoder.pool(ids, mask).float().cpu().numpy()
                    if progress is not None:
                        progress(int(uses[chosen].sum()))
                rows[start : start + len(window)] = features[inverse]
    finally:
        encoder.train(training)
    return TextFeatures(rows, truncated)


def _batches(batch: TokenBatch, by_prefix: bool, token_budget: int) -> Iterator[NDArray[np.int64]]:
    """Positions of texts that go through the tower together."""
    lengths = batch.attention_mask.sum(dim=1).numpy()
    order = _by_prefix(batch) if by_prefix else np.argsort(lengths, kind="stable")
    start, longest = 0, 0
    for stop, position in enumerate(order):
        grown = max(longest, int(lengths[position]))
        if stop > start and grown * (stop - start + 1) > token_budget:
            yield order[start:stop]
            start, grown = stop, int(lengths[position])
        longest = grown
    if len(order):
        yield order[start:]


def _by_prefix(batch: TokenBatch) -> NDArray[np.int64]:
    """Order in which texts that begin alike follow each other."""
    # Big-endian bytes compare like the ids themselves.
    ids = batch.input_ids.numpy().astype(">u4")
    return np.array(sorted(range(len(ids)), key=[row.tobytes() for row in ids].__getitem__), dtype=np.int64)
