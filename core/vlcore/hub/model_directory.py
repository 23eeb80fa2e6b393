"""The model directory: what training writes and `vlcore.load` reads, offline, complete or not at all.

config.yaml         class paths and plain arguments of towers, heads and model; format version
model.safetensors   every weight
preprocess.json     how the image tower wants its images
tokenizer/          files of the text tower's tokeniser
README.md           model card
fingerprint         SHA-256 of all of them but the card
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vlcore.encoders.base import Encoder
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.fingerprint import (
    CARD,
    CONFIG,
    FILE,
    PARTS,
    PREPROCESS,
    TOKENIZER,
    WEIGHTS,
    part,
    read_fingerprint,
    verify_fingerprint,
    write_fingerprint,
)
from vlcore.hub.location import model_folder
from vlcore.hub.model_card import ModelCard
from vlcore.hub.model_config import HubModel, build_model, write_config
from vlcore.hub.safe_loading import load_weights
from vlcore.hub.whole_folder import whole_folder

__all__ = [
    "HubModel",
    "LoadedModel",
    "ModelCard",
    "load_model_directory",
    "save_model_directory",
    "verify_model_directory",
]


@dataclass(frozen=True)
class LoadedModel:
    """A model as it came from disk.

    Attributes:
        model: in evaluation mode on the CPU, towers frozen.
        card: its model card.
        fingerprint: 64 hexadecimal digits; changes with anything that changes an embedding.
        path: folder it was read from.
    """

    model: HubModel
    card: ModelCard
    fingerprint: str
    path: Path


def save_model_directory(path: Path | str, model: HubModel, card: ModelCard) -> str:
    """Write a model directory, whole or not at all.

    An older model directory at `path` is replaced; other files beside its parts stay.

    Args:
        path: folder to write.
        model: to save, on any device.
        card: facts about it; `towers` is filled in from the model.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        ModelDirectoryError: if `path` holds something that is not a model directory.
        ConfigurationError: if the model could not be loaded again, or has NaN weights.
    """
    target = Path(path)
    _check_replaceable(target)
    readme = card.with_towers(model).render()
    weights = _weights(model)
    with whole_folder(target, owned=PARTS) as folder:
        write_config(model, folder / CONFIG)
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
        tower = model.image_encoder
        preprocess = json.dumps(None if tower is None else tower.preprocess.to_dict(), indent=2)
        (folder / PREPROCESS).write_text(preprocess + "\n", encoding="utf-8")
        (folder / TOKENIZER).mkdir()
        if model.text_encoder is not None:
            model.text_encoder.tokenizer.save(folder / TOKENIZER)
        (folder / CARD).write_text(readme, encoding="utf-8")
        fingerprint = write_fingerprint(folder)
    return fingerprint


def load_model_directory(path: Path | str) -> LoadedModel:
    """Verify and load a model directory.

    Args:
        path: folder, or a hub id `organisation/name` whose repository is a model directory.

    Raises:
        ModelDirectoryError: if anything is missing, changed, of another format, or not allowed; nothing is loaded.
        MissingDependencyError: if a tower needs an optional library.
    """
    folder = model_folder(path)
    fingerprint = verify_fingerprint(folder)
    card = ModelCard.read(part(folder, CARD))
    model = build_model(folder)
    load_weights(model, part(folder, WEIGHTS))
    for side, tower in (("image", model.image_encoder), ("text", model.text_encoder)):
        if tower is None:
            continue
        origin = card.towers.get(side, {})
        tower.source, tower.licence = str(origin.get("source", "")), str(origin.get("licence", "unknown"))
        if isinstance(tower, Encoder):
            tower.set_trainable("none")
    return LoadedModel(model.eval(), card, fingerprint, folder)


def verify_model_directory(path: Path | str) -> str:
    """Check that every part is there and unchanged, without building the model.

    Returns:
        The fingerprint.

    Raises:
        ModelDirectoryError: naming the file, what was expected and what was found.
    """
    folder = model_folder(path)
    part(folder, CARD)
    return verify_fingerprint(folder)


def _check_replaceable(target: Path) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir():
        raise ModelDirectoryError(f"{target} is a file: choose a folder for the model.")
    if not any(target.iterdir()):
        return
    if not (target / FILE).is_file():
        raise ModelDirectoryError(
            f"{target} exists and is not a model directory: nothing was written. Choose another folder, or empty it."
        )
    known = read_fingerprint(target)
    for entry in (target / TOKENIZER).rglob("*"):
        if not entry.is_dir() and entry.relative_to(target).as_posix() not in known:
            raise ModelDirectoryError(f"{entry} is not part of the model and would be lost: move it elsewhere first.")


def _weights(model: HubModel) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise ConfigurationError(f"The model's state {name!r} is no tensor, so it cannot be stored safely.")
        if torch.isnan(tensor).any():
            raise ConfigurationError(f"The weight {name!r} has NaN values: the training diverged; nothing was saved.")
        stored = tensor.detach().to("cpu").contiguous()
        # safetensors refuses tensors that share memory, such as tied embeddings: each gets its own copy.
        if stored.untyped_storage().data_ptr() in storages:
            stored = stored.clone()
        storages.add(stored.untyped_storage().data_ptr())
        weights[name] = stored
    return weights
