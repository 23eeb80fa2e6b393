"""Models of the transformers library: plain configurations, strict loading, no code from repositories."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vlcore.encoders.source_folder import read_json
from vlcore.encoders.weights import check_keys, find_weights
from vlcore.errors import ConfigurationError, ModelDirectoryError

CONFIG_FILE = "config.json"
WEIGHT_STEMS = ("model", "pytorch_model")

# Entries of a configuration that say nothing about the features: machine, version, precision, class labels.
_IRRELEVANT = {
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "dtype",
    "id2label",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}


def read_config(folder: Path) -> Any:
    """Read `config.json` of a folder as a `transformers.PretrainedConfig`.

    Raises:
        ModelDirectoryError: if it is missing, damaged, or of an unknown kind.
    """
    from transformers import AutoConfig

    path = folder / CONFIG_FILE
    values = read_json(path, "the architecture")
    if "model_type" not in values:
        raise ModelDirectoryError(f"{path} has no model_type: it is no configuration of transformers.")
    try:
        with quiet():
            return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelDirectoryError(
            f"{path}: model_type {values['model_type']!r} cannot be built ({type(error).__name__}: {error}). Update "
            f"transformers if it is newer than yours; a model that brings code of its own is never run."
        ) from error


def plain_config(config: Any) -> dict[str, Any]:
    """Plain JSON values of a configuration without what depends on the machine or the library's version."""
    values: dict[str, Any] = _without_irrelevant(json.loads(json.dumps(config.to_dict(), default=str)))
    return values


def build_config(values: Mapping[str, Any]) -> Any:
    """Rebuild a configuration from what `plain_config` returned."""
    from transformers import AutoConfig

    arguments = dict(values)
    return AutoConfig.for_model(arguments.pop("model_type"), **arguments)


def load_pretrained(folder: Path, factory: Any, config: Any, **arguments: Any) -> nn.Module:
    """Load a model whose weights must fit exactly, but for the heads of the architecture that the folder names.

    Args:
        folder: local, with weights.
        factory: a model class or `AutoModel`.
        config: of the folder.
        **arguments: for the model's constructor.

    Raises:
        ModelDirectoryError: naming what is missing, unexpected or of another shape.
    """
    find_weights(folder, WEIGHT_STEMS)
    try:
        with quiet():
            model, report = factory.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                # A wrong shape is reported below with all the others instead of one by one.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **arguments,
            )
    # The library raises a dozen kinds of errors for damaged, unsafe and foreign files.
    except Exception as error:
        raise ModelDirectoryError(
            f"{folder}: the weights cannot be loaded ({type(error).__name__}: {error}). Copy or download the folder "
            f"again; pickled files that hold more than tensors are refused."
        ) from error
    unexpected = set(report["unexpected_keys"])
    if unexpected:
        unexpected -= _named_keys(config)
    check_keys(
        folder,
        type(model).__name__,
        missing=report["missing_keys"],
        unexpected=unexpected,
        shapes={str(entry[0]): " and ".join(map(str, entry[1:])) for entry in report["mismatched_keys"]},
    )
    loaded: nn.Module = model
    return loaded


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's progress bars and load reports; vlcore reports on its own."""
    from transformers.utils import logging as untyped

    logging: Any = untyped

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def embedding_rows(model: nn.Module) -> int:
    """Number of rows of a text model's embedding table."""
    table: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
    return table.num_embeddings


def accepts_pooling_layer(factory: type[nn.Module]) -> bool:
    """Whether a model class can be built without its pooler."""
    return "add_pooling_layer" in factory.__init__.__code__.co_varnames


def model_class(config: Any) -> type[nn.Module]:
    """The plain model class of a configuration, without heads.

    Raises:
        ConfigurationError: if transformers has none.
    """
    from transformers import MODEL_MAPPING

    try:
        found: Any = MODEL_MAPPING[type(config)]
    except KeyError:
        raise ConfigurationError(
            f"transformers has no plain model for model_type {config.model_type!r}; choose another tower."
        ) from None
    # Some kinds map to several classes; the first is the standard one.
    cls: type[nn.Module] = found[0] if isinstance(found, (list, tuple)) else found
    return cls


def is_dual(config: Any) -> bool:
    """Whether a configuration is of a model with an image and a text tower in one space."""
    if not (hasattr(config, "text_config") and hasattr(config, "vision_config")):
        return False
    factory = model_class(config)
    return hasattr(factory, "get_image_features") and hasattr(factory, "get_text_features")


def _named_keys(config: Any) -> set[str]:
    """Every weight of the architecture that a folder names: what it has beyond the plain model are its heads."""
    import transformers

    keys: set[str] = set()
    for name in config.architectures or []:
        named = getattr(transformers, name, None)
        if named is None:
            continue
        with torch.device("meta"):
            keys |= set(named(config).state_dict())
    return keys


def _without_irrelevant(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _without_irrelevant(value) for key, value in values.items() if key not in _IRRELEVANT}
    if isinstance(values, list):
        return [_without_irrelevant(value) for value in values]
    return values
