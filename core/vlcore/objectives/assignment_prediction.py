"""Images and texts shall be assigned to the same words of a language model."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlcore.objectives.pair_inputs import check_embeddings
from vlcore.objectives.sinkhorn import sinkhorn
from vlcore.objectives.soft_targets import soft_cross_entropy


class AssignmentPrediction(nn.Module):
    """Predicts each side's assignment from the other side (VLAP, arXiv 2404.09632, eq. 3-6).

    The word embeddings w_k of a language model are prototypes that stand still. With scores `P = z w` of a side, and
    its assignments Q by `sinkhorn` without gradient:

        loss = -1/2 mean_i [ sum_k Q_text,ik log softmax(P_image,i / tau)_k
                           + sum_k Q_image,ik log softmax(P_text,i / tau)_k ]

    Args:
        words: `[K, D]` word embeddings; they are brought to unit norm.
        epsilon: of `sinkhorn`.
        iterations: of `sinkhorn`.
    """

    uses_bias = False
    words: Tensor
    prior: Tensor

    def __init__(self, words: Tensor, epsilon: float = 0.01, iterations: int = 3) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.iterations = iterations
        self.register_buffer("words", nn.functional.normalize(words.detach().float(), dim=1), persistent=False)
        self.register_buffer("prior", torch.full((len(words),), 1 / len(words)))

    def set_word_counts(self, counts: Tensor) -> None:
        """Let words that occur often in the training texts `[K]` take more of the assignments."""
        self.prior.copy_(word_prior(counts))

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        logit_scale: Tensor | float = 100.0,
        logit_bias: Tensor | float | None = None,
        image_index: Tensor | None = None,
        text_key: Tensor | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> Tensor:
        """Mean loss of B pairs; arguments as of the contrastive objectives.

        Args:
            image: `[B, D]` unit norm.
            text: `[B, D]` unit norm.
            logit_scale: 1 / tau.
            logit_bias: has no part in it.
            image_index: has no part in it: there are no negatives.
            text_key: likewise.
            process_group: whose pairs share the words, or None.
        """
        check_embeddings(image, text, may_be_empty=False)
        dtype = torch.promote_types(image.dtype, torch.float32)
        words = self.words.to(dtype)
        scores = [side.to(dtype) @ words.T for side in (image, text)]
        assigned = [sinkhorn(side, self.epsilon, self.iterations, self.prior, process_group) for side in scores]
        losses = [
            soft_cross_entropy(logit_scale * side, target)
            for side, target in zip(scores, reversed(assigned), strict=True)
        ]
        return (losses[0] + losses[1]).mean() / 2


def word_prior(counts: Tensor, temperature: float = 0.25) -> Tensor:
    """Share `[K]` of each word: the softmax of its frequency in the training texts over a temperature (VLAP).

    Args:
        counts: `[K]` how often each word occurs.
        temperature: the smaller, the more frequent words count.
    """
    frequency = counts.double() / counts.sum().clamp(min=1)
    return torch.softmax(frequency / temperature, dim=0)
