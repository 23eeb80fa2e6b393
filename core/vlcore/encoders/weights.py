"""Weight files that are read without running code, and taken over whole or not at all."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from vlcore.errors import ModelDirectoryError

SHOWN = 6


def find_weights(folder: Path, stems: Iterable[str]) -> list[Path]:
    """Return the weight files of a tower folder: safetensors if there are any, else a PyTorch archive.

    Args:
        folder: of the tower.
        stems: file names without ending, the preferred first: `model`, `pytorch_model`.

    Raises:
        ModelDirectoryError: if there is none, or a shard of several is missing.
    """
    names = list(stems)
    for name in names:
        if (path := folder / f"{name}.safetensors").is_file():
            return [path]
        if (index := folder / f"{name}.safetensors.index.json").is_file():
            return _shards(index)
    for name in names:
        for ending in (".bin", ".pth", ".pt"):
            if (path := folder / f"{name}{ending}").is_file():
                return [path]
    raise ModelDirectoryError(
        f"{folder} has no weights: {names[0]}.safetensors is missing. Copy the whole folder of the tower."
    )


def read_weights(paths: Iterable[Path]) -> dict[str, Tensor]:
    """Read weight files into one dictionary, on the CPU; a pickle that holds more than tensors is refused.

    Raises:
        ModelDirectoryError: if a file is damaged or would run code.
    """
    state: dict[str, Tensor] = {}
    for path in paths:
        state |= _read_one(path)
    return state


def load_strict(module: nn.Module, state: Mapping[str, Tensor], place: Path | str) -> None:
    """Load weights whose names and shapes all fit; otherwise nothing is loaded.

    Args:
        module: receives the weights.
        state: by name.
        place: where the weights came from, for the message.

    Raises:
        ModelDirectoryError: naming what is missing, unexpected or of another shape.
    """
    own = module.state_dict()
    check_keys(
        place,
        type(module).__name__,
        missing=own.keys() - state.keys(),
        unexpected=state.keys() - own.keys(),
        shapes={
            key: f"{tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the architecture"
            for key in own.keys() & state.keys()
            if state[key].shape != own[key].shape
        },
    )
    module.load_state_dict(state, strict=True)


def check_keys(
    place: Path | str, architecture: str, missing: Iterable[str], unexpected: Iterable[str], shapes: Mapping[str, str]
) -> None:
    """Raise one error that names every kind of misfit.

    Raises:
        ModelDirectoryError: if there is any.
    """
    parts = [
        f"missing {_listed(missing)}" if missing else "",
        f"unexpected {_listed(unexpected)}" if unexpected else "",
        f"wrong shapes {_listed(f'{key} ({shape})' for key, shape in shapes.items())}" if shapes else "",
    ]
    if any(parts):
        raise ModelDirectoryError(
            f"{place}: the weights do not fit {architecture}: {'; '.join(part for part in parts if part)}. Nothing was "
            f"loaded. Use the weights and the configuration of one and the same release."
        )


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        # Shards lie beside their index; links are no concern, the hub cache itself is made of them.
        if any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise ValueError(f"it names files outside its folder: {names[:SHOWN]}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDirectoryError(f"{index} is not a list of weight files: {error}. Copy it again.") from error
    paths = [index.parent / name for name in names]
    for path in paths:
        if not path.is_file():
            raise ModelDirectoryError(f"{path} is missing: {index.name} lists it. Copy the whole folder of the tower.")
    return paths


def _read_one(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors: dict[str, Tensor] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelDirectoryError(f"{path} is damaged ({error}). Copy or download it again.") from error
        return tensors
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelDirectoryError(
            f"{path} is refused: it holds more than tensors, or is damaged, and loading it could run code. Ask its "
            f"authors for a .safetensors file."
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise ModelDirectoryError(f"{path} is damaged ({error}). Copy or download it again.") from error
    for wrapper in ("state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelDirectoryError(f"{path} is not a dictionary of tensors by name. Ask for a .safetensors file.")
    return dict(content)
