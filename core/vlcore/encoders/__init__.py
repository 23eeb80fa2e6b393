"""Towers by name: `source/argument`, such as `timm/resnet50` or `transformers/path/to/folder`.

Importing this room loads no library of towers; a source is imported when one of its towers is built.

| source | image | text | both | argument |
|---|---|---|---|---|
| `starter` | x | x | | `efficientnet_lite0`, `efficientnet_lite2`; `minilm` |
| `timm` | x | | | name, `hf-hub:` id, or folder |
| `torchvision` | x | | | name |
| `transformers` | x | x | x | hub id or folder |
| `open_clip` | x | x | x | hub id, `model/tag`, or folder |
| `sentence_transformers` | | x | | hub id or folder |
| `tokens` | x | x | | another tower's name: its tokens in place of what it pools |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from vlcore.errors import ConfigurationError, ModelDirectoryError, UnknownNameError
from vlcore.types import Trainable

if TYPE_CHECKING:
    from vlcore.encoders.base import DualTowers, Encoder, ImageEncoder, TextEncoder

__all__ = ["build_dual_encoder", "build_image_encoder", "build_text_encoder", "encoder_class"]

_Side = Literal["image", "text", "dual"]

_FACTORIES: Mapping[_Side, Mapping[str, str]] = {
    "image": {
        "open_clip": "vlcore.encoders.open_clip:build_image",
        "starter": "vlcore.encoders.starter:build_image",
        "tokens": "vlcore.encoders.token_encoder:build_image",
        "timm": "vlcore.encoders.timm:build_image",
        "torchvision": "vlcore.encoders.torchvision:build_image",
        "transformers": "vlcore.encoders.transformers_image:build_image",
    },
    "text": {
        "open_clip": "vlcore.encoders.open_clip:build_text",
        "sentence_transformers": "vlcore.encoders.sentence_transformers:build_text",
        "starter": "vlcore.encoders.starter:build_text",
        "tokens": "vlcore.encoders.text_token_encoder:build_text",
        "transformers": "vlcore.encoders.transformers_text:build_text",
    },
    "dual": {
        "open_clip": "vlcore.encoders.open_clip:build_dual",
        "transformers": "vlcore.encoders.transformers_dual:build_dual",
    },
}

_CLASSES = {
    "vlcore.encoders.open_clip.OpenClipImageEncoder",
    "vlcore.encoders.open_clip.OpenClipTextEncoder",
    "vlcore.encoders.text_token_encoder.TextTokenEncoder",
    "vlcore.encoders.timm.TimmEncoder",
    "vlcore.encoders.token_encoder.TokenEncoder",
    "vlcore.encoders.torchvision.TorchvisionEncoder",
    "vlcore.encoders.transformers_dual.TransformersDualImageEncoder",
    "vlcore.encoders.transformers_dual.TransformersDualTextEncoder",
    "vlcore.encoders.transformers_image.TransformersImageEncoder",
    "vlcore.encoders.transformers_text.TransformersTextEncoder",
}


def build_image_encoder(name: str, trainable: Trainable = "none") -> ImageEncoder:
    """Build an image tower with pretrained weights and their preprocessing.

    Args:
        name: `source/argument`, or a name that a plugin registered.
        trainable: which part learns: `none`, `all`, or the last N blocks.

    Raises:
        UnknownNameError: if there is no such source.
        ConfigurationError: if the source has no such tower, or it cannot be fetched.
        ModelDirectoryError: if a local folder is incomplete or does not fit.
    """
    encoder: ImageEncoder = _build("image", name, trainable)
    return encoder


def build_text_encoder(name: str, trainable: Trainable = "none") -> TextEncoder:
    """Build a text tower with pretrained weights and their tokeniser; as `build_image_encoder`."""
    encoder: TextEncoder = _build("text", name, trainable)
    return encoder


def build_dual_encoder(name: str, trainable: Trainable = "none") -> DualTowers:
    """Build two towers that were trained together, such as CLIP or SigLIP; as `build_image_encoder`."""
    towers: DualTowers = _build("dual", name, trainable)
    return towers


def encoder_class(path: str) -> type[Encoder]:
    """Return the class of a tower that a model directory names, if it may be loaded.

    Allowed are vlcore's own towers, and those of packages that a healthy plugin registers towers from.

    Args:
        path: `package.module.Class`.

    Raises:
        ModelDirectoryError: if it is not allowed or not a tower; nothing is imported then.
    """
    from vlcore.encoders.base import Encoder

    module, _, name = path.rpartition(".")
    if path not in _CLASSES and module.partition(".")[0] not in _plugin_packages():
        raise ModelDirectoryError(
            f"The tower class {path!r} is neither vlcore's nor of a plugin that is installed and switched on. Install "
            f"the plugin that the model was made with; other code is not imported."
        )
    found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise ModelDirectoryError(f"{path!r} is no tower class. The model was made with another version of it.")
    return found


def _build(side: _Side, name: str, trainable: Trainable) -> Any:
    source, separator, argument = name.partition("/")
    factories = _FACTORIES[side]
    if separator and source in factories:
        if not argument:
            raise ConfigurationError(f"{name!r} names no tower: write {source}/ and the tower's name or folder.")
        factory = _load(factories[source])
    else:
        factory, argument = _registered(side, name)
    import torch

    # Architectures start from random weights; the caller's random state is none of their business.
    with torch.random.fork_rng(devices=[]):
        return factory(argument, trainable)


def _registered(side: _Side, name: str) -> tuple[Callable[[str, Trainable], Any], str]:
    """A plugin's factory whose name is `name` or its beginning, and what follows it."""
    from vlcore.plugins import registries

    registry = getattr(registries(), f"{side}_encoders")
    parts = name.split("/")
    for stop in range(len(parts), 0, -1):
        prefix = "/".join(parts[:stop])
        if prefix in registry:
            return registry.get(prefix), "/".join(parts[stop:])
    sources = [f"{source}/…" for source in _FACTORIES[side]]
    raise UnknownNameError(registry.kind, name, [*sources, *registry.names()], registry.explain(name))


def _plugin_packages() -> set[str]:
    from vlcore.plugins import registries

    found = registries()
    entries = [*found.image_encoders.entries().values(), *found.text_encoders.entries().values()]
    entries += found.dual_encoders.entries().values()
    targets = [entry.target if isinstance(entry.target, str) else entry.target.__module__ for entry in entries]
    return {target.partition(":")[0].partition(".")[0] for target in targets}


def _load(reference: str) -> Callable[[str, Trainable], Any]:
    module, _, attribute = reference.partition(":")
    factory: Callable[[str, Trainable], Any] = getattr(import_module(module), attribute)
    return factory
