"""Log-sum-exp of rows or columns that arrive in tiles."""

from __future__ import annotations

import torch
from torch import Tensor

from vlcore.objectives.process_rows import ProcessRows


class RunningLogSumExp:
    """Keeps a maximum and a sum of exponentials below it per entry, so that nothing overflows.

    The maximum starts at the lowest finite number: with minus infinity, an entry without values would give NaN.

    Args:
        entries: how many log-sum-exps.
        like: tensor whose type and device they have.
    """

    def __init__(self, entries: int, like: Tensor) -> None:
        self.maximum = like.new_full((entries,), torch.finfo(like.dtype).min)
        self.total = like.new_zeros(entries)

    def add(self, values: Tensor, where: slice, dim: int, scratch: Tensor) -> None:
        """Add a tile `[R, C]`.

        Args:
            values: logits; minus infinity where nothing is to be added.
            where: the entries that the tile's rows (`dim=1`) or columns (`dim=0`) belong to.
            dim: the dimension that is summed.
            scratch: `[R, C]`, is overwritten; may be `values` itself.
        """
        highest = values.amax(dim).clamp_(min=torch.finfo(values.dtype).min)
        torch.sub(values, highest.unsqueeze(dim), out=scratch).exp_()
        maximum, total = self.maximum[where], self.total[where]
        common = torch.maximum(maximum, highest)
        total.mul_((maximum - common).exp_()).add_(scratch.sum(dim).mul_((highest - common).exp_()))
        maximum.copy_(common)

    def share_maximum(self, processes: ProcessRows) -> None:
        """Bring the sums of all processes below the same maximum, so that they can be added up."""
        before = self.maximum.clone()
        processes.take_maximum(self.maximum)
        self.total.mul_(before.sub_(self.maximum).exp_())

    def value(self) -> Tensor:
        """`[entries]`; minus infinity where nothing was added."""
        return self.maximum + self.total.log()
