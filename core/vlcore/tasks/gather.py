"""Rows of all processes together, with gradients where a loss needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def gather_rows(module: LightningModule, rows: Tensor, *, gradients: bool = False) -> Tensor:
    """Concatenate the rows `[B_r, …]` of every process r, which may differ in number.

    With gradients, a loss computed on the result by every process gives, after the mean that data-parallel training
    takes, exactly the gradient of one process with all rows: the backward pass adds up what each process contributes.

    Args:
        module: that runs in the processes.
        rows: this process's part.
        gradients: let gradients flow back to the processes the rows came from.

    Returns:
        `[sum B_r, …]` in the order of the ranks; `rows` itself in a single process.
    """
    if module.trainer.world_size == 1:
        return rows
    gathered_counts: Any = module.all_gather(torch.tensor(len(rows), device=rows.device))
    counts: list[int] = gathered_counts.tolist()
    longest = max(counts)
    padding = [0, 0] * (rows.ndim - 1) + [0, longest - len(rows)]
    padded = nn.functional.pad(rows, padding)
    gathered: Any = module.all_gather(padded, sync_grads=gradients)  # [R, longest, …]
    return torch.cat([part[:count] for part, count in zip(gathered, counts, strict=True)])
