"""Symmetric InfoNCE with any number of positives per row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.objectives.logits import check_positives, pair_logits


class InfoNCE(nn.Module):
    """Cross-entropy over the batch in both directions (CPC, arXiv 1807.03748; CLIP, arXiv 2103.00020).

    With the softmax `p_ij` of row i over all texts, `q_ij` of column j over all images, and the positives `P_i` of
    row i and `Q_j` of column j:

        loss = -1/2 [ mean_i mean_{j in P_i} log p_ij + mean_j mean_{i in Q_j} log q_ij ]

    The target is uniform over the positives (SupCon's `L_out`, arXiv 2004.11362, eq. 2). The other form in use,
    `-log sum_{j in P_i} p_ij`, is satisfied by one positive alone and may leave the other captions of an image far
    away. With positives on the diagonal only, both are CLIP's loss.
    """

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        positives: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss of a batch.

        Args:
            image: `[B, D]` unit norm.
            text: `[B, D]` unit norm; row i belongs to image i.
            logit_scale: scalar, already exponentiated.
            logit_bias: without effect, since a softmax ignores what is added to all logits.
            positives: `[B, B]` bool from `positive_pairs`; the diagonal always counts. None: the diagonal alone.

        Returns:
            Scalar, float32 (float64 for float64 embeddings). NaN embeddings give NaN: nothing is masked.

        Raises:
            ValueError: if a shape or the mask's type is wrong.
        """
        logits = pair_logits(image, text, logit_scale)
        check_positives(positives, len(logits))
        if positives is None:
            target = torch.arange(len(logits), device=logits.device)
            rows = nn.functional.cross_entropy(logits, target)
            columns = nn.functional.cross_entropy(logits.T, target)
        else:
            positives = positives | torch.eye(len(logits), dtype=torch.bool, device=logits.device)
            rows = _soft_cross_entropy(logits, positives)
            columns = _soft_cross_entropy(logits.T, positives.T)
        return (rows + columns) / 2


def _soft_cross_entropy(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean over rows `[B, B]` of the mean negative log-probability of the row's positives."""
    weights = positives.to(logits.dtype)
    picked = (nn.functional.log_softmax(logits, dim=1) * weights).sum(dim=1)
    return -(picked / weights.sum(dim=1)).mean()
