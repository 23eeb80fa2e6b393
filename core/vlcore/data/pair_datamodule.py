"""What every data module of image-text pairs shares: its trainer, its loader, its way to the device."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from lightning.fabric.utilities.seed import pl_worker_init_function
from lightning.pytorch import LightningDataModule, Trainer

from vlcore.data.batch_order import BatchOrder, Draw
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.errors import ConfigurationError
from vlcore.types import PairBatch


class PairDataModule(LightningDataModule):
    """Batches of `PairBatch` for the task of a trainer."""

    @property
    def attached_trainer(self) -> Trainer:
        """The trainer, whose task has the towers.

        Raises:
            ConfigurationError: before the data module has been given to one.
        """
        if self.trainer is None:
            raise ConfigurationError(
                "The data module needs the towers of a task: pass both to a Trainer, as in "
                "trainer.fit(task, datamodule=data)."
            )
        return self.trainer

    def training_texts(self) -> list[str]:
        """Every text of the training pairs; known after `setup("fit")`."""
        raise NotImplementedError

    def transfer_batch_to_device(self, batch: PairBatch, device: torch.device, dataloader_idx: int) -> PairBatch:
        """Copy a batch to the device while the host goes on."""
        return batch.to(device, non_blocking=True)

    def pair_loader(self, order: BatchOrder, collate: Callable[[Draw], PairBatch], workers: int) -> ResumableLoader:
        """A loader that can be resumed in the middle of an epoch."""
        return ResumableLoader(
            order,
            collate,
            num_workers=workers,
            pin_memory=self.attached_trainer.strategy.root_device.type == "cuda",
            worker_init_fn=_start_worker,
        )


def _start_worker(worker: int) -> None:
    """Seed a process that reads images, and keep its tokeniser from starting threads after the fork."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    pl_worker_init_function(worker)
