"""Whether an image and a text belong together."""

from __future__ import annotations

import torch
from torch import Tensor

MATCH = 1
"""Column of the logits that says yes."""


def image_text_matching(logits: Tensor, matches: Tensor) -> Tensor:
    """Mean cross-entropy of yes and no.

    Args:
        logits: `[N, 2]`.
        matches: `[N]` bool or int64, 1 where image and text belong together.
    """
    return torch.nn.functional.cross_entropy(logits.float(), matches.long())


def match_score(logits: Tensor) -> Tensor:
    """Log-odds `[N]` of yes, from logits `[N, 2]`."""
    return logits[:, MATCH] - logits[:, 1 - MATCH]
