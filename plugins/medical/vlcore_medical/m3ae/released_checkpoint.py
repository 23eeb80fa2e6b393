"""Reading the checkpoints that M3AE's authors published, without running what is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlcore.errors import ModelDirectoryError
from vlcore.tasks.checkpoint_files import refused_object


class _Callback:
    """Stands for a class of Lightning 1.3, which writes classes of callbacks as keys; it does nothing."""


_STUBS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
)


@dataclass(frozen=True)
class ReleasedCheckpoint:
    """What a checkpoint holds.

    Attributes:
        path: it was read from.
        state: tensors by their released names.
        settings: of the run, plain values; empty where the file does not tell them.
    """

    path: Path
    state: Mapping[str, Tensor]
    settings: Mapping[str, Any]


def read_released_checkpoint(path: Path | str) -> ReleasedCheckpoint:
    """Read tensors and plain values alone.

    Args:
        path: a `.ckpt` file of Lightning 1.3.

    Raises:
        ModelDirectoryError: if the file is not there, is damaged, holds objects other than tensors and plain values, or
            has no `state_dict`.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelDirectoryError(f"There is no checkpoint {path}. Download it from the links of zhjohnchan/M3AE.")
    stubs: list[Any] = [(_Callback, name) for name in _STUBS]
    try:
        with torch.serialization.safe_globals(stubs):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = refused_object(error)
        if refused is None:
            raise ModelDirectoryError(_unreadable(path)) from error
        raise ModelDirectoryError(
            f"{path} holds a {refused}, and reading that would run code, so it is refused. Save its state_dict alone, "
            f"as {{'state_dict': …}}, where you trust the file."
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, OSError) as error:
        raise ModelDirectoryError(_unreadable(path)) from error
    state = loaded.get("state_dict") if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelDirectoryError(f"{path} has no 'state_dict' of tensors. Give a checkpoint of zhjohnchan/M3AE.")
    parameters = loaded.get("hyper_parameters")
    settings = parameters.get("config") if isinstance(parameters, dict) else None
    return ReleasedCheckpoint(path, state, settings if isinstance(settings, dict) else {})


def _unreadable(path: Path) -> str:
    return f"{path} cannot be read: it was cut off, or is no checkpoint of PyTorch. Download it again."
