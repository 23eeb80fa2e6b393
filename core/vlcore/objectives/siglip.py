"""The pairwise sigmoid loss."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from vlcore.objectives.tiled_loss import TiledLoss
from vlcore.objectives.tiles import Tile, Tiles


class SigLIP(TiledLoss):
    """Every image-text combination is its own yes-or-no question (SigLIP, arXiv 2303.15343, algorithm 1).

    With labels z of +1 on positives (`PairKeys`) and -1 elsewhere, scale t and bias b:

        loss = -1/N sum_ij log sigmoid( z_ij (t x_i . y_j + b) )

    That is the paper's sum over the columns and mean over the rows. SAIL (arXiv 2412.04616) takes the mean over all
    N x N instead, which is N times smaller: a learning rate from there has to be divided by N here. The paper starts
    the bias at -10, so that the many negatives do not swamp the first steps. How it is computed: `TiledLoss`.
    """

    uses_bias = True

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        image_index: Tensor | None = None,
        text_key: Tensor | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> Tensor:
        """As `TiledLoss.forward`.

        Raises:
            ValueError: also if there is no bias.
        """
        if logit_bias is None:
            raise ValueError("SigLIP needs a bias: build the DualEncoder with logit_bias=-10.0 (and logit_scale=10.0).")
        return super().forward(image, text, logit_scale, logit_bias, image_index, text_key, process_group)

    def statistics(self, tiles: Tiles) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss is a plain sum: nothing needs keeping."""
        by_row = tiles.vector(len(tiles.image))
        for tile in tiles:
            scratch = tile.scratch[0]
            _flip_positives(tile)
            # softplus(w) = max(w, 0) + log(1 + exp(-|w|)), exact at both ends.
            torch.abs(tile.logits, out=scratch).neg_().exp_().log1p_().add_(tile.logits.clamp_(min=0))
            by_row[tile.rows] += scratch.sum(1)
        return tiles.processes.add_up(by_row.sum()) / tiles.processes.total, ()

    def differentiate(self, tile: Tile, statistics: tuple[Tensor, ...]) -> None:
        """How wrong the answer is, with the sign of the label."""
        _flip_positives(tile)
        tile.logits.sigmoid_()
        _flip_positives(tile)


def _flip_positives(tile: Tile) -> None:
    """Change the sign of the positives: of a logit this makes how far the answer lies on the wrong side."""
    negated = torch.neg(tile.logits, out=tile.scratch[0])
    torch.where(tile.positives, negated, tile.logits, out=tile.logits)
