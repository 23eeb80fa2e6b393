"""Checkpoint files that are whole or not there, and that run no code when they are read."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from vlcore.errors import CheckpointError
from vlcore.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file beside its place, syncs it to disk and renames it.

    A process that is killed, a disk that is full or a machine that loses power in the middle leaves the checkpoint
    that was there before. Lightning's own way renames too, but neither syncs nor says what became of the run, and holds
    the whole file in memory once more. Remote places (`s3://…`) are left to Lightning.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: if the disk is full or does not take it; what was at `path` is unharmed.
        """
        if storage_options is not None or _remote(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            with atomic_write(path) as temporary, temporary.open("wb") as handle:
                torch.save(checkpoint, handle)
        except (OSError, RuntimeError) as error:
            # PyTorch's zip writer turns what the system says into a RuntimeError of its own.
            reason = _system_error(error)
            if reason is None:
                raise
            kept = "The checkpoint that was there before is unharmed" if Path(path).is_file() else "Nothing was written"
            raise CheckpointError(
                f"The checkpoint {path} cannot be written: {reason.strerror}. {kept}, and the run has stopped. Free "
                f"some space or choose another trainer.default_root_dir, and go on from the last checkpoint with "
                f"--ckpt_path last."
            ) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, place: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint; `weights_only` is always on, so that no code in the file is run.

        Raises:
            CheckpointError: if the file is cut off, is no checkpoint, or holds objects other than tensors and plain
                values.
        """
        if not _remote(path) and not Path(path).is_file():
            raise CheckpointError(f"There is no checkpoint {path}.")
        try:
            loaded: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            refused = refused_object(error)
            if refused is None:
                raise CheckpointError(_unreadable(path)) from error
            raise CheckpointError(
                f"The checkpoint {path} holds a {refused}, and reading that would run code, so it is refused. Save "
                f"tensors and plain values only."
            ) from error
        except (RuntimeError, EOFError, KeyError, ValueError) as error:
            raise CheckpointError(_unreadable(path)) from error
        return loaded


def refused_object(error: pickle.UnpicklingError) -> str | None:
    """Name of the object that PyTorch did not read because its code would run; none if the file is damaged."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return None if found is None else found[1]


def _unreadable(path: str | Path) -> str:
    return f"The checkpoint {path} cannot be read: it was cut off, or is no checkpoint. Take an earlier one."


def _remote(path: str | Path) -> bool:
    return "://" in str(path)


def _system_error(error: BaseException | None) -> OSError | None:
    """The system's account behind an error, if there is one."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None
