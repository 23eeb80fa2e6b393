"""Symmetric InfoNCE with any number of positives per row."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.objectives.tiled_loss import TiledLoss
from vlcore.objectives.tiles import Tile, Tiles


class InfoNCE(TiledLoss):
    """Cross-entropy over the batch in both directions (CPC, arXiv 1807.03748; CLIP, arXiv 2103.00020).

    With the softmax `p_ij` of row i over all texts, `q_ij` of column j over all images, and the positives `P_i` of
    row i and `Q_j` of column j (`PairKeys`):

        loss = -1/2 [ mean_i mean_{j in P_i} log p_ij + mean_j mean_{i in Q_j} log q_ij ]

    The target is uniform over the positives (SupCon's `L_out`, arXiv 2004.11362, eq. 2). The other form in use,
    `-log sum_{j in P_i} p_ij`, is satisfied by one positive alone and may leave the other captions of an image far
    away. With positives on the diagonal only, both are CLIP's loss. How it is computed: `TiledLoss`.
    """

    def statistics(self, tiles: Tiles) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Log-sum-exps and mean positive logits of rows and columns."""
        processes = tiles.processes
        pairs, own = processes.total, processes.own
        rows, columns = tiles.running(own.stop - own.start), tiles.running(pairs)
        row_positives, column_positives = tiles.vector(own.stop - own.start), tiles.vector(pairs)
        for tile in tiles:
            scratch = tile.scratch[0]
            scratch.copy_(tile.logits).masked_fill_(tile.positives.logical_not_(), 0)
            row_positives[tile.rows] += scratch.sum(1)
            column_positives[tile.columns] += scratch.sum(0)
            rows.add(tile.logits, tile.rows, dim=1, scratch=scratch)
            columns.add(tile.logits, tile.columns, dim=0, scratch=scratch)
        share = 1 / tiles.keys.positives.to(tiles.dtype)
        by_row = rows.value()
        row_loss = (by_row - share[own] * row_positives).sum()
        columns.share_maximum(processes)
        packed = processes.add_up(torch.cat([columns.total, column_positives, row_loss.reshape(1)]))
        columns.total, column_positives, row_loss = packed[:pairs], packed[pairs:-1], packed[-1]
        by_column = columns.value()
        loss = (row_loss + (by_column - share * column_positives).sum()) / (2 * pairs)
        return loss, (by_row, by_column, share, share[own])

    def differentiate(self, tile: Tile, statistics: tuple[Tensor, ...]) -> None:
        """Softmax minus target, both ways."""
        by_row, by_column, share, own_share = statistics
        scratch = tile.scratch[0]
        torch.sub(tile.logits, by_column[tile.columns], out=scratch).exp_()
        tile.logits.sub_(by_row[tile.rows, None]).exp_().add_(scratch)
        torch.add(own_share[tile.rows, None], share[tile.columns], out=scratch)
        tile.logits.sub_(scratch.masked_fill_(tile.positives.logical_not_(), 0)).mul_(0.5)
