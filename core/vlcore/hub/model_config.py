"""config.yaml of a model directory: which classes with which arguments, and the way back to a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.encoders.tokenizer import load_tokenizer
from vlcore.errors import ConfigurationError, MissingDependencyError, ModelDirectoryError
from vlcore.heads.base import Head
from vlcore.heads.task import TaskHead
from vlcore.hub.fingerprint import CONFIG, PREPROCESS, TOKENIZER, part
from vlcore.hub.safe_loading import class_path, resolve_class
from vlcore.models.dual_encoder import DualEncoder
from vlcore.models.fusion.model import FusionModel
from vlcore.models.fusion.network import FusionNetwork
from vlcore.models.headed_towers import HeadedTowers
from vlcore.types import ImagePreprocess

FORMAT = 1
"""Grows when a directory of the old form can no longer be read."""

_KEYS: dict[type[Any], tuple[str, ...]] = {
    DualEncoder: ("format", "model", "image_encoder", "text_encoder", "image_head", "text_head"),
    FusionModel: ("format", "model", "image_encoder", "network"),
    HeadedTowers: ("format", "model", "image_encoder", "text_encoder", "head"),
}

HubModel = DualEncoder | FusionModel | HeadedTowers
"""What a model directory can hold."""


def write_config(model: HubModel, path: Path) -> None:
    """Describe a model so that `build_model` can make it again without weights.

    Raises:
        ConfigurationError: if a class could not be loaded again, or an argument is not a plain value.
    """
    values: dict[str, Any] = {"format": FORMAT, "model": _component(model, type(model), model.config())}
    parts: dict[str, tuple[Any, type[Any]]] = {"image_encoder": (model.image_encoder, ImageEncoder)}
    if isinstance(model, FusionModel):
        parts["network"] = (model.network, FusionNetwork)
    else:
        parts["text_encoder"] = (model.text_encoder, TextEncoder)
    if isinstance(model, DualEncoder):
        parts |= {"image_head": (model.image_head, Head), "text_head": (model.text_head, Head)}
    elif isinstance(model, HeadedTowers):
        parts["head"] = (model.head, TaskHead)
    for key, (part_of_model, base) in parts.items():
        values[key] = None if part_of_model is None else _component(part_of_model, base, part_of_model.config())
    try:
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        raise ConfigurationError(f"A config() returned a value that YAML cannot hold: {error}.") from error
    path.write_text(text, encoding="utf-8")


def build_model(folder: Path) -> HubModel:
    """Build the model that a verified directory describes, its weights still untrained.

    Raises:
        ModelDirectoryError: if config.yaml or preprocess.json is not of the known form, or names what may not load.
    """
    place = str(folder / CONFIG)
    values = _read_config(folder)
    # Building draws random initial weights; the caller's random state is none of their business.
    with torch.random.fork_rng(devices=[]):
        image = None
        if values["image_encoder"] is not None:
            image_class, arguments = _named(values, "image_encoder", ImageEncoder, place)
            image = _build(place, "image_encoder", image_class.from_config, arguments, _read_preprocess(folder))
        model_class, model_arguments = _named(values, "model", torch.nn.Module, place)
        model: HubModel
        if issubclass(model_class, FusionModel):
            network_class, arguments = _named(values, "network", FusionNetwork, place)
            network = _build(place, "network", network_class.from_config, arguments)
            tokenizer = load_tokenizer(folder / TOKENIZER)
            model = _build(place, "model", model_class, image, tokenizer, network, **model_arguments)
            return model
        text = None
        if values["text_encoder"] is not None:
            text_class, arguments = _named(values, "text_encoder", TextEncoder, place)
            text = _build(place, "text_encoder", text_class.from_config, arguments, folder / TOKENIZER)
        heads = []
        for key, base in {"image_head": Head, "text_head": Head, "head": TaskHead}.items():
            if key in values:
                head_class, arguments = _named(values, key, base, place)
                heads.append(_build(place, key, head_class.from_config, arguments))
        model = _build(place, "model", model_class, image, text, *heads, **model_arguments)
    return model


def _component(module: torch.nn.Module, base: type[torch.nn.Module], arguments: dict[str, Any]) -> dict[str, Any]:
    path = class_path(type(module))
    try:
        resolve_class(path, base, "model")
    except ModelDirectoryError as error:
        raise ConfigurationError(f"{path} could be saved but never loaded again: {error}") from error
    return {"class_path": path, "arguments": arguments}


def _read_config(folder: Path) -> dict[str, Any]:
    path = part(folder, CONFIG)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelDirectoryError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else values
        raise ModelDirectoryError(
            f"{path}: format expected {FORMAT}, found {found!r}. A newer vlcore wrote it, or it is no model directory: "
            f"update vlcore."
        )
    entry = values.get("model")
    named = entry.get("class_path") if isinstance(entry, dict) else None
    model_class = resolve_class(named, torch.nn.Module, f"{path}, model")
    keys = next((keys for base, keys in _KEYS.items() if issubclass(model_class, base)), None)
    if keys is None:
        raise ModelDirectoryError(f"{path}: {model_class.__name__} is no kind of model that a directory holds.")
    if set(values) != set(keys):
        missing, unknown = sorted(set(keys) - set(values)), sorted(map(str, set(values) - set(keys)))
        raise ModelDirectoryError(f"{path}: missing keys {missing}, unknown keys {unknown}.")
    return values


def _read_preprocess(folder: Path) -> ImagePreprocess:
    path = part(folder, PREPROCESS)
    try:
        return ImagePreprocess.from_dict(json.loads(path.read_text(encoding="utf-8")), str(path))
    except (ValueError, TypeError) as error:
        raise ModelDirectoryError(f"{path} is not the preprocessing of a tower: {error}") from error


def _named(values: Mapping[str, Any], key: str, base: type[Any], place: str) -> tuple[type[Any], dict[str, Any]]:
    entry = values[key]
    if not isinstance(entry, dict) or not isinstance(entry.get("arguments"), dict):
        raise ModelDirectoryError(f"{place}: {key} needs a class_path and a mapping of arguments, found {entry!r}.")
    return resolve_class(entry.get("class_path"), base, f"{place}, {key}"), entry["arguments"]


def _build(place: str, key: str, make: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return make(*args, **kwargs)
    except (MissingDependencyError, ModelDirectoryError):
        raise
    except Exception as error:
        raise ModelDirectoryError(
            f"{place}: {key} cannot be built from its arguments ({type(error).__name__}: {error}). Use the versions "
            f"named in README.md."
        ) from error
