"""What programs share that take the same steps in one process and in several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from vlcore.types import PairBatch


class Parts:
    """One batch for every process: the rows between each two bounds."""

    def __init__(self, pairs: Callable[[int, int], PairBatch], bounds: list[tuple[int, int]]) -> None:
        self.pairs = pairs
        self.bounds = bounds

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, index: int) -> PairBatch:
        return self.pairs(*self.bounds[index])


def take_steps(task: LightningModule, parts: Parts, target: str, **options: Any) -> None:
    """Train in the processes that the options of a Trainer name, in the folder of the target."""
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=Path(target).parent,
        **options,
    )
    trainer.fit(task, DataLoader(parts, batch_size=None, shuffle=False))
