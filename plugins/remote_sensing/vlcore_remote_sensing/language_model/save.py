"""What a scene language model has learnt, on disk: projector and adapters, and which parts they belong to."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from vlcore.errors import FingerprintMismatchError, ModelDirectoryError
from vlcore.files import atomic_write, write_text
from vlcore_remote_sensing.language_model.scene_language_model import SceneLanguageModel

WEIGHTS, FACTS = "learnt.safetensors", "learnt.json"


def save_learnt(model: SceneLanguageModel, folder: Path | str, fingerprint: str) -> None:
    """Write what learns of a model: the projector, and the adapters if there are any.

    Args:
        model: trained.
        folder: to write.
        fingerprint: of the model with semantic experts whose head is inside (`Model.fingerprint`).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    learnt = _learnt(model)
    with atomic_write(folder / WEIGHTS) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in learnt.items()}, temporary)
    write_text(folder / FACTS, json.dumps({"image_model": fingerprint, "tensors": sorted(learnt)}, indent=1))


def load_learnt(model: SceneLanguageModel, folder: Path | str, fingerprint: str) -> None:
    """Put back what `save_learnt` wrote, into a model made of the same parts.

    Raises:
        ModelDirectoryError: if a file is missing, or the parts differ.
        FingerprintMismatchError: if it was learnt on another image model.
    """
    folder = Path(folder)
    for name in (WEIGHTS, FACTS):
        if not (folder / name).is_file():
            raise ModelDirectoryError(f"{folder} has no {name}. Give the folder that save_learnt wrote.")
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if facts["image_model"] != fingerprint:
        raise FingerprintMismatchError(
            str(folder), "image model", facts["image_model"], fingerprint, "Load the one that it was trained on."
        )
    found, expected = load_file(folder / WEIGHTS), _learnt(model)
    differing = [
        name
        for name in sorted(found.keys() | expected.keys())
        if name not in found or name not in expected or found[name].shape != expected[name].shape
    ]
    if differing:
        raise ModelDirectoryError(
            f"{folder / WEIGHTS} does not fit this language model: {', '.join(differing[:5])} differ. Use the same "
            f"language model and rank as in training."
        )
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(found[name])


def _learnt(model: SceneLanguageModel) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
