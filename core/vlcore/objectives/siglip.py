"""The pairwise sigmoid loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.objectives.logits import check_positives, pair_logits


class SigLIP(nn.Module):
    """Every image-text combination is its own yes-or-no question (SigLIP, arXiv 2303.15343, algorithm 1).

    With labels z of +1 on positives and -1 elsewhere, scale t and bias b:

        loss = -1/B sum_ij log sigmoid( z_ij (t x_i . y_j + b) )

    That is the paper's sum over the columns and mean over the rows. SAIL (arXiv 2412.04616) takes the mean over all
    B x B instead, which is B times smaller: a learning rate from there has to be divided by B here.
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
            logit_bias: scalar; the paper starts at -10, so that the many negatives do not swamp the first steps.
            positives: `[B, B]` bool from `positive_pairs`; the diagonal always counts. None: the diagonal alone.

        Returns:
            Scalar, float32 (float64 for float64 embeddings). NaN embeddings give NaN: nothing is masked.

        Raises:
            ValueError: if a shape or the mask's type is wrong, or there is no bias.
        """
        if logit_bias is None:
            raise ValueError("SigLIP needs a bias: build the DualEncoder with logit_bias=-10.0 (and logit_scale=10.0).")
        logits = pair_logits(image, text, logit_scale, logit_bias)
        check_positives(positives, len(logits))
        diagonal = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        positives = diagonal if positives is None else positives | diagonal
        signed = torch.where(positives, logits, -logits)
        return -nn.functional.logsigmoid(signed).sum() / len(logits)
