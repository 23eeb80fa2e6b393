"""Multiple-instance InfoNCE: one of several texts has to fit."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.objectives.tiled_loss import TiledLoss
from vlcore.objectives.tiles import Tile, Tiles


class MILNCE(TiledLoss):
    """The texts of an image are candidates, of which at least one should fit (MIL-NCE, arXiv 1912.06430, eq. 1).

    Made for narrated video, where the words spoken around a moment may or may not describe it. With the logits s and
    the positives `P_i` of pair i (`PairKeys`: the candidates of one image share its `image_index`):

        pos_i = sum_{j in P_i} exp s_ij
        neg_i = sum_{j not in P_i} exp s_ij + sum_{j in P_i} sum_{k not in P_j} exp(s_kj) / views_k
        loss  = mean_i log( (pos_i + neg_i) / pos_i )

    The negatives are the image with foreign texts and its candidates with foreign images, the paper's symmetric set
    (section 4.3). A foreign image that comes in `views_k` pairs, once per candidate, counts once for each of the
    candidates it is compared with; so B images with K candidates each, given as B x K pairs, have exactly the paper's
    loss. The authors' code puts the positives into the denominator twice, which makes log 2 the least possible loss;
    here, as in the paper, they are there once and it is 0. How it is computed: `TiledLoss`.
    """

    def statistics(self, tiles: Tiles) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Log-sum-exps of positives and negatives of every row, and of negatives of every column."""
        processes, keys = tiles.processes, tiles.keys
        pairs, own = processes.total, processes.own
        row_positives, row_negatives = tiles.running(own.stop - own.start), tiles.running(own.stop - own.start)
        columns = tiles.running(pairs)
        weight = -keys.views[own].to(tiles.dtype).log()
        for tile in tiles:
            scratch = tile.scratch[0]
            scratch.copy_(tile.logits).masked_fill_(tile.positives, -torch.inf)
            row_negatives.add(scratch, tile.rows, dim=1, scratch=scratch)
            torch.add(tile.logits, weight[tile.rows, None], out=scratch).masked_fill_(tile.positives, -torch.inf)
            columns.add(scratch, tile.columns, dim=0, scratch=scratch)
            tile.logits.masked_fill_(tile.positives.logical_not_(), -torch.inf)
            row_positives.add(tile.logits, tile.rows, dim=1, scratch=scratch)
        columns.share_maximum(processes)
        processes.add_up(columns.total)
        positive = row_positives.value()
        negative = torch.logaddexp(row_negatives.value(), tiles.sum_over_positives(columns.value()))
        everything = torch.logaddexp(positive, negative)
        # log(1 + neg / pos) keeps its digits where the loss is small; the difference of two large logs would not.
        row_loss = torch.logaddexp(torch.zeros_like(positive), negative - positive).sum()
        shared = tiles.vector(pairs + 1)
        shared[:pairs][own], shared[-1] = everything, row_loss
        processes.add_up(shared)
        # Of column j: how much its negatives weigh in the pairs that have text j as a positive. The relation is
        # symmetric, so each process finds it for its own rows.
        foreign = tiles.vector(pairs)
        foreign[own] = tiles.sum_over_positives(-shared[:pairs])
        processes.add_up(foreign)
        return shared[-1] / pairs, (negative - everything - positive, everything, weight, foreign)

    def differentiate(self, tile: Tile, statistics: tuple[Tensor, ...]) -> None:
        """Pull the positives by the share that the negatives have; push the negatives by theirs."""
        pull, everything, weight, foreign = statistics
        rows, (pushed, scratch) = tile.rows, tile.scratch
        torch.sub(tile.logits, everything[rows, None], out=pushed).exp_()
        torch.add(tile.logits, foreign[tile.columns], out=scratch).add_(weight[rows, None]).exp_()
        pushed.add_(scratch)
        tile.logits.add_(pull[rows, None]).exp_().neg_()
        # Chosen, not multiplied: each form may overflow where it does not apply.
        torch.where(tile.positives, tile.logits, pushed, out=tile.logits)
