"""Text towers in the folders of sentence-transformers, read without that library.

A folder lists its modules in modules.json: a transformer, a pooling, then dense layers and a normalisation. All of
these are built here from transformers and plain layers, so the library itself is not needed; modules with code of
their own are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from vlcore.encoders.source_folder import read_json, source_folder
from vlcore.encoders.text_pooling import check_modes
from vlcore.encoders.transformers_text import TransformersTextEncoder
from vlcore.encoders.transformers_text import load_text as load_transformers_text
from vlcore.encoders.weights import find_weights, load_strict, read_weights
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import Trainable

MODULES_FILE = "modules.json"
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_TRANSFORMER_FILES = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_mpnet_config.json")


def build_text(
    argument: str, trainable: Trainable = "none", *, layers: Sequence[int] | None = None
) -> TransformersTextEncoder:
    """Build a sentence encoder from a hub id or a complete local folder.

    Args:
        argument: `organisation/name` or a folder with modules.json.
        trainable: which part learns.
        layers: pool these layers, as in `TransformersTextEncoder`, and leave out what the folder does after pooling.

    Raises:
        ConfigurationError: if there is no such tower, it cannot be fetched, or has a module that is not known.
        ModelDirectoryError: if the folder is incomplete or does not fit.
    """
    encoder = load_text(source_folder(argument, "sentence_transformers"), layers)
    encoder.source = f"sentence_transformers/{argument}"
    encoder.set_trainable(trainable)
    return encoder.eval()


def load_text(folder: Path, layers: Sequence[int] | None = None) -> TransformersTextEncoder:
    """Load a folder of sentence-transformers; with `layers`, only up to its pooling.

    Raises:
        ConfigurationError: if it has a module that is not known.
        ModelDirectoryError: if it is incomplete or does not fit.
    """
    modules = _modules(folder)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= {"Dense", "Normalize"}:
        raise ConfigurationError(
            f"{folder / MODULES_FILE}: the modules {kinds} are not supported; known is a Transformer, a Pooling, then "
            f"Dense and Normalize. Modules with code of their own are never run."
        )
    modes, include_prompt = _pooling(modules[1][1])
    if layers is not None:
        modules = modules[:2]  # what follows was trained on the last layer alone
    stages = [_dense(path) if kind == "Dense" else {"kind": "normalise"} for kind, path in modules[2:]]
    prompt = _prompt(folder)
    if prompt and not include_prompt:
        raise ConfigurationError(f"{modules[1][1]}: pooling without the default prompt {prompt!r} is not supported.")
    settings = _transformer_settings(modules[0][1])
    encoder = load_transformers_text(
        modules[0][1],
        modes,
        stages,
        layers=layers,
        context_length=settings.get("max_seq_length"),
        cleaning="lowercase" if settings.get("do_lower_case") else "none",
        prompt=prompt,
    )
    for layer, (kind, path) in zip(encoder.head, modules[2:], strict=True):
        if kind == "Dense":
            assert isinstance(layer, nn.Sequential)
            weights = find_weights(path, ("model", "pytorch_model"))
            state = {key.removeprefix("linear."): value for key, value in read_weights(weights).items()}
            load_strict(layer[0], state, weights[0])
    return encoder


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Kind and folder of each module."""
    path = folder / MODULES_FILE
    if not path.is_file():
        raise ModelDirectoryError(
            f"{path} is missing; it says how token states are pooled, and a guess would change the features. Copy the "
            f"whole folder, or name it transformers/… for the mean of all token states."
        )
    try:
        entries = sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda entry: int(entry["idx"]))
        modules = [(str(entry["type"]), str(entry["path"])) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDirectoryError(f"{path} is no list of modules: {error!r}. Copy it again.") from error
    for kind, place in modules:
        if not kind.startswith("sentence_transformers."):
            raise ConfigurationError(f"{path}: the module {kind} is code of the repository, which is never run.")
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise ModelDirectoryError(f"{path}: the folder {place!r} leads out of {folder}.")
    return [(kind.rpartition(".")[2], folder / place) for kind, place in modules]


def _pooling(folder: Path) -> tuple[list[str], bool]:
    path = folder / "config.json"
    values = read_json(path, "the pooling")
    modes = values.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in _POOLING_FLAGS.items() if values.get(flag)]
    modes = [modes] if isinstance(modes, str) else list(modes)
    if not modes:
        raise ModelDirectoryError(f"{path} names no pooling: exactly what to do with the token states is missing.")
    check_modes(modes, str(path))
    return modes, bool(values.get("include_prompt", True))


def _dense(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    values = read_json(path, "a dense layer")
    harmless = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    known = {"in_features", "out_features", "bias", "activation_function"}
    strange = {key: value for key, value in values.items() if key not in known and harmless.get(key) != value}
    if strange or not {"in_features", "out_features", "activation_function"} <= set(values):
        raise ConfigurationError(f"{path}: the dense layer {values} is not supported.")
    return {
        "kind": "dense",
        "in_features": int(values["in_features"]),
        "out_features": int(values["out_features"]),
        "bias": bool(values.get("bias", True)),
        "activation": str(values["activation_function"]).rpartition(".")[2],
    }


def _prompt(folder: Path) -> str:
    """The prompt that the library puts before every text unless told otherwise."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return ""
    values = read_json(path, "the prompts")
    name = values.get("default_prompt_name")
    if name is None:
        return ""
    prompts: Mapping[str, Any] = values.get("prompts") or {}
    if name not in prompts:
        raise ModelDirectoryError(f"{path}: the default prompt {name!r} is not among the prompts {sorted(prompts)}.")
    return str(prompts[name] or "")


def _transformer_settings(folder: Path) -> dict[str, Any]:
    for name in _TRANSFORMER_FILES:
        if (folder / name).is_file():
            return read_json(folder / name, "the context length")
    return {}
