"""A training step on disk: weights before it, and the batch and seed of every process."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from vlcore.errors import CheckpointError
from vlcore.files import atomic_write
from vlcore.types import PairBatch, VisualTokens

FORMAT = 1


@dataclass(frozen=True)
class CapturedBatch:
    """One batch of one process.

    Attributes:
        process: global rank.
        epoch: from 0.
        batch: of the epoch, from 0.
        pairs: on the CPU.
    """

    process: int
    epoch: int
    batch: int
    pairs: PairBatch


@dataclass(frozen=True)
class StepCapture:
    """A step that was not taken.

    Attributes:
        seed: of the run, from which the step's random numbers follow; None if it had none.
        precision: of the trainer, such as `bf16-mixed`.
        task: name of its class.
        settings: its options.
        checkpoint: the task's weights before the step, without those of frozen towers.
        batches: of every process, in order; several of each where gradients were accumulated.
    """

    seed: int | None
    precision: str
    task: str
    settings: dict[str, Any]
    checkpoint: dict[str, Any]
    batches: tuple[CapturedBatch, ...]


def capture_folder(trainer: Trainer, step: int) -> Path:
    """Where a step of a run is kept."""
    return Path(trainer.default_root_dir) / "captures" / f"step_{step:08d}"


def write_capture(
    folder: Path, trainer: Trainer, task: LightningModule, batches: list[tuple[int, int, Any]], seed: int | None
) -> None:
    """Write a step; every process has to call this, for each writes its own batches.

    Args:
        folder: of the step.
        trainer: of the run.
        task: whose weights are those before the step.
        batches: epoch, number and batch.
        seed: of the run.
    """
    state = trainer.strategy.lightning_module_state_dict()
    process = {
        "format": FORMAT,
        "batches": [{"epoch": epoch, "batch": number, "pairs": _plain(batch)} for epoch, number, batch in batches],
    }
    with atomic_write(folder / f"process_{trainer.global_rank}.pt") as temporary:
        torch.save(process, temporary)
    if trainer.is_global_zero:
        checkpoint: dict[str, Any] = {"state_dict": state}
        task.on_save_checkpoint(checkpoint)
        step = {
            "format": FORMAT,
            "processes": trainer.world_size,
            "seed": seed,
            "precision": str(trainer.precision),
            "task": type(task).__name__,
            "settings": dict(task.hparams),
            "checkpoint": checkpoint,
        }
        with atomic_write(folder / "step.pt") as temporary:
            torch.save(step, temporary)
    trainer.strategy.barrier("capture")


def read_capture(folder: Path | str) -> StepCapture:
    """Read a step.

    Raises:
        CheckpointError: if the folder is none of a captured step, or a process's part is missing.
    """
    folder = Path(folder)
    step = _load(folder / "step.pt")
    batches = [
        CapturedBatch(process, entry["epoch"], entry["batch"], _batch(entry["pairs"]))
        for process in range(step["processes"])
        for entry in _load(folder / f"process_{process}.pt")["batches"]
    ]
    return StepCapture(
        step["seed"], step["precision"], step["task"], step["settings"], step["checkpoint"], tuple(batches)
    )


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} is not the folder of a captured step: {path.name} is missing. Give the folder that the "
            f"run named when it stopped, with the parts of all its processes."
        )
    try:
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read: it was cut off, or holds something else.") from error
    if loaded.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {loaded.get('format')!r}; this version of vlcore reads {FORMAT}.")
    return loaded


def _plain(batch: PairBatch) -> dict[str, Any]:
    on_host = batch.to("cpu")
    values = {field.name: getattr(on_host, field.name) for field in fields(PairBatch)}
    # Read back without pickle there are tuples, but no classes of one's own.
    return {**values, "regions": None if on_host.regions is None else tuple(on_host.regions)}


def _batch(values: dict[str, Any]) -> PairBatch:
    regions = values.get("regions")
    return PairBatch(**{**values, "regions": None if regions is None else VisualTokens(*regions)})
