"""Hidden words are to be guessed."""

from __future__ import annotations

from torch import Tensor, nn

from vlcore.objectives.soft_targets import mixed_targets, soft_cross_entropy
from vlcore.objectives.text_masking import IGNORED


def masked_language_loss(
    logits: Tensor, labels: Tensor, momentum_logits: Tensor | None = None, alpha: float = 0.0
) -> Tensor:
    """Mean cross-entropy over the hidden words.

    With `alpha`, ALBEF's momentum distillation (arXiv 2107.07651, eq. 7): (1 - alpha) CE(labels) + alpha CE(softmax of
    the momentum model's logits).

    Args:
        logits: `[N, V]` of the hidden words (`hidden_rows`).
        labels: `[N]` their ids.
        momentum_logits: `[N, V]`, needed if `alpha` is above 0.
        alpha: weight of the momentum model, 0..1.

    Returns:
        Scalar; 0 with gradient 0 if nothing is hidden.
    """
    if not len(labels):
        return logits.sum() * 0.0
    if momentum_logits is None or alpha == 0:
        return nn.functional.cross_entropy(logits.float(), labels)
    certain = nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return soft_cross_entropy(logits.float(), mixed_targets(certain, momentum_logits.float(), alpha).float()).mean()


def hidden_rows(states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """States `[N, D]` and labels `[N]` of the hidden words alone; a decoder over all words would cost seven times more.

    Args:
        states: `[B, L, D]`.
        labels: `[B, L]`, -100 where nothing is hidden.
    """
    hidden = labels != IGNORED
    return states[hidden], labels[hidden]
