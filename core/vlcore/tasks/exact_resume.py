"""Runs that go on as if they had never stopped: random numbers by step, and checkpoints that cannot do it refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from vlcore.errors import CheckpointError
from vlcore.tasks.checkpoint_files import AtomicCheckpointIO

_KEY = "exact_resume"


class ExactResume(Callback):
    """Makes a run that is resumed from any of its checkpoints end with the very weights of one that never stopped.

    What a step draws at random (dropout, for one) is seeded by the run's seed, the epoch, the batch and the process, so
    there is no state of generators that could be lost, and no two processes draw alike. Together with
    `ResumableLoader`, whose batches are such a function too, the rest of a run depends on nothing but the checkpoint.

    A checkpoint that cannot be gone on from in this way is refused with its reason: one that was written in the middle
    of a step or of an accumulation, one without the loader's place, or one of another number of processes.

    Attributes:
        seed: of the run; that of `seed_everything`, and of the checkpoint where the run was resumed.
    """

    def __init__(self) -> None:
        self.seed: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write and read checkpoints safely, unless the trainer was given a way of its own."""
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = AtomicCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Agree on a seed."""
        if self.seed is None:
            self.seed = int(trainer.strategy.broadcast(torch.initial_seed()))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed the step."""
        _count_epoch(trainer)
        if self.seed is not None:
            seed_step(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store what the rest of the run depends on."""
        checkpoint[_KEY] = {
            "seed": self.seed,
            "processes": trainer.world_size,
            "accumulated": trainer.accumulate_grad_batches,
            "precision": trainer.precision,
            "batches": _plain(trainer.num_training_batches),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the seed over.

        Raises:
            CheckpointError: if the run could not go on exactly.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        stored = checkpoint.get(_KEY)
        if stored is None:
            raise CheckpointError(
                "The checkpoint was written without vlcore's place in the run, so it cannot be resumed exactly. "
                + _NEW_RUN
            )
        now = {
            "processes": trainer.world_size,
            "accumulated": trainer.accumulate_grad_batches,
            "precision": trainer.precision,
        }
        for name, value in now.items():
            if stored[name] != value:
                raise CheckpointError(
                    f"The run cannot go on exactly: {_SETTINGS[name]} was {stored[name]!r} when the checkpoint was "
                    f"written and is {value!r} now. Resume it with {stored[name]!r}. {_NEW_RUN}"
                )
        _check_place(checkpoint["loops"]["fit_loop"], stored)
        self.seed = stored["seed"]


_NEW_RUN = "Or begin a new run from the weights: `vlcore.load` the model directory, or load its state_dict in Python."

_SETTINGS = {
    "processes": "the number of processes",
    "accumulated": "trainer.accumulate_grad_batches",
    "precision": "trainer.precision",
}


def seed_step(seed: int, epoch: int, batch: int, process: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch (all devices) for one step of one process.

    Args:
        seed: of the run.
        epoch: from 0.
        batch: of the epoch, from 0.
        process: global rank.
    """
    state = np.random.SeedSequence([seed % 2**64, epoch, batch, process]).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
    # On an accelerator this sets a number on the host; nothing waits for the device.
    torch.manual_seed(int(state[2]) << 32 | int(state[3]))


def _count_epoch(trainer: Trainer) -> None:
    """Count the epoch that runs as begun.

    Lightning 2.6 forgets to where it goes on after the last batch of an epoch; the checkpoints of such a run would make
    the next resuming repeat an epoch.
    """
    progress = trainer.fit_loop.epoch_progress
    counts: list[Any] = [progress.total, progress.current]
    for count in counts:
        if count.started == count.processed:
            count.ready = count.started = count.processed + 1


def _check_place(loop: dict[str, Any], stored: dict[str, Any]) -> None:
    """Refuse a place from which the rest of an epoch is not what it would have been."""
    progress = loop["epoch_loop.batch_progress"]["current"]
    started, processed = progress["started"], progress["processed"]
    if started != processed:
        raise CheckpointError(
            f"The checkpoint was written in the middle of step {started} of an epoch, most likely by the handler of a "
            f"signal, so weights and optimiser belong to different steps. Take an earlier checkpoint. To be stopped by "
            f"a scheduler without loss, save every few steps: ModelCheckpoint(every_n_train_steps=…, save_last=True)."
        )
    if processed == 0 or processed == stored["batches"]:
        return
    if processed % stored["accumulated"]:
        raise CheckpointError(
            f"The checkpoint was written after {processed} batches, between two of the "
            f"{stored['accumulated']} that make one step (trainer.accumulate_grad_batches), and gradients are not "
            f"stored. Take another checkpoint; ModelCheckpoint(every_n_train_steps=…) saves only after whole steps."
        )
    if not any(loop["state_dict"].get("combined_loader", [])):
        raise CheckpointError(
            f"The checkpoint was written after {processed} batches of an epoch, and its data loader did not say where "
            f"it stood, so the epoch cannot go on. Take a checkpoint of an epoch's end, or train on a loader with "
            f"state_dict and load_state_dict, as vlcore's data modules have."
        )


def _plain(batches: float) -> int | None:
    return int(batches) if batches != float("inf") else None
