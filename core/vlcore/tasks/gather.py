"""Rows of all processes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def gather_rows(module: LightningModule, rows: Tensor) -> Tensor:
    """Concatenate the rows `[B_r, …]` of every process r, which may differ in number; without gradients.

    Args:
        module: that runs in the processes.
        rows: this process's part.

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
    gathered: Any = module.all_gather(padded)  # [R, longest, …]
    return torch.cat([part[:count] for part, count in zip(gathered, counts, strict=True)])
