"""Images and texts shall be assigned to the same words of a language model."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlcore.objectives.pair_inputs import check_embeddings, compute_dtype
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
        """Let words that occur often in the training texts `[K]` take more of the assignments.

        Raises:
            ValueError: if there is not one count per word.
        """
        if counts.shape != self.prior.shape:
            raise ValueError(f"counts have shape {tuple(counts.shape)}: give one per word, [{len(self.prior)}].")
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
            process_group: whose pairs share the words, or None. As of the contrastive objectives, a process may have
                no pairs, every one returns the loss of all, and the mean of their gradients is that of all.
        """
        check_embeddings(image, text, may_be_empty=process_group is not None)
        dtype = compute_dtype(image, text)
        words = self.words.to(dtype)
        # Autocast would multiply in bfloat16, whose error an epsilon of 0.01 turns into whole units.
        with torch.autocast(device_type=image.device.type, enabled=False):
            scores = [side.to(dtype) @ words.T for side in (image, text)]
            assigned = [sinkhorn(side, self.epsilon, self.iterations, self.prior, process_group) for side in scores]
            losses = [
                soft_cross_entropy(logit_scale * side, target)
                for side, target in zip(scores, reversed(assigned), strict=True)
            ]
            own = (losses[0] + losses[1]) / 2
            return own.mean() if process_group is None else _mean_over_processes(own, process_group)


def _mean_over_processes(own: Tensor, process_group: dist.ProcessGroup) -> Tensor:
    """Mean of the losses `[B]` of all processes, whose gradients are W times a share, for DDP to take the mean of."""
    packed = torch.stack([own.detach().sum(), own.new_tensor(len(own))])
    dist.all_reduce(packed, group=process_group)
    share = own.sum() * dist.get_world_size(process_group) / packed[1]
    return share + (packed[0] / packed[1] - share).detach()


def word_prior(counts: Tensor, temperature: float = 0.25) -> Tensor:
    """Share `[K]` of each word: the softmax of its frequency in the training texts over a temperature (VLAP).

    Args:
        counts: `[K]` how often each word occurs.
        temperature: the smaller, the more frequent words count.
    """
    frequency = counts.double() / counts.sum().clamp(min=1)
    return torch.softmax(frequency / temperature, dim=0)
