"""Image towers of timm, with the preprocessing that their weights were trained with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from vlcore.encoders.base import ImageEncoder
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.source_folder import licence_of, read_json, source_folder
from vlcore.encoders.weights import find_weights, load_strict, read_weights
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable

Pooling = Literal["native", "avg", "avgmax"]

CONFIG_FILE = "config.json"
HUB_PREFIX = "hf-hub:"
_PREPROCESS_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct")


class TimmEncoder(ImageEncoder):
    """An image tower of timm without its classifier.

    Args:
        architecture: name of timm, such as `resnet50` or `vit_small_patch16_224`.
        preprocess: that the weights were trained with.
        pooling: `native` as the weights were trained; `avg` of the last feature map; `avgmax` appends its maximum
            (twice the width), which finds small things better. The last two are for networks with feature maps.
        arguments: for `timm.create_model`, plain values.
    """

    network: Any

    def __init__(
        self,
        architecture: str,
        preprocess: ImagePreprocess,
        pooling: Pooling = "native",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.arguments = dict(arguments or {})
        self.preprocess = preprocess
        self.pooling = pooling
        self.source = f"timm/{architecture}"
        self.network = _create(architecture, self.arguments)
        # One black image says what form the features have; timm describes it in several ways, not all of them right.
        with torch.no_grad():
            features = self.network.eval().forward_features(torch.zeros(1, 3, *preprocess.size))
        self._maps = _layout(self.network, features)
        if pooling not in ("native", "avg", "avgmax"):
            raise ConfigurationError(f"pooling={pooling!r}: choose native, avg or avgmax.")
        if pooling != "native" and self._maps is None:
            raise ConfigurationError(f"pooling={pooling!r}: {architecture} has no feature maps; choose native.")
        with torch.no_grad():
            self.width = int(self._pool(features).shape[1])

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> TimmEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(config["architecture"], preprocess, config["pooling"], config["arguments"])

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        features: Tensor = self.network.forward_features(pixels)
        return EncoderOutput(self._tokens(features), self._pool(features))

    def blocks(self) -> Sequence[nn.Module]:
        """Stages of a convolutional network, layers of a transformer."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation, convolution and pooling."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """Architecture, pooling and arguments."""
        return {"architecture": self.architecture, "pooling": self.pooling, "arguments": self.arguments}

    def _pool(self, features: Tensor) -> Tensor:
        if self.pooling == "native":
            pooled: Tensor = self.network.forward_head(features, pre_logits=True)
            return pooled
        tokens = self._tokens(features)
        average = tokens.mean(dim=1)
        return average if self.pooling == "avg" else torch.cat([average, tokens.amax(dim=1)], dim=1)

    def _tokens(self, features: Tensor) -> Tensor:
        """Feature maps `[B, C, H, W]` or `[B, H, W, C]` as `[B, H*W, C]`; token sequences stay as they are."""
        if self._maps == "NCHW":
            return features.flatten(2).transpose(1, 2)
        return features.flatten(1, 2) if self._maps == "NHWC" else features


def build_image(argument: str, trainable: Trainable = "none", pooling: Pooling = "native") -> TimmEncoder:
    """Build a pretrained tower.

    Args:
        argument: a name of timm (weights come from the hub), `hf-hub:organisation/name`, or a local folder with
            `config.json` and `model.safetensors`, as timm's `save_for_hf` writes.
        trainable: which part learns.
        pooling: see `TimmEncoder`.

    Raises:
        ConfigurationError: if there is no such tower, or it cannot be fetched.
        ModelDirectoryError: if a folder is incomplete or does not fit.
    """
    if argument.startswith(HUB_PREFIX):
        encoder = _from_folder(source_folder(argument.removeprefix(HUB_PREFIX), "timm"), pooling)
    elif Path(argument).expanduser().exists() or argument.startswith((".", "/", "~")):
        encoder = _from_folder(source_folder(argument, "timm"), pooling)
    else:
        encoder = _from_name(argument, pooling)
    encoder.source = f"timm/{argument}"
    encoder.set_trainable(trainable)
    return encoder.eval()


def preprocess_of(config: Mapping[str, Any], place: str) -> ImagePreprocess:
    """Turn timm's data configuration into vlcore's; what has no equal is an error.

    Args:
        config: with `input_size`, `interpolation`, `mean`, `std`, `crop_pct` and perhaps `crop_mode`.
        place: where it came from, for the message.

    Raises:
        ModelDirectoryError: if a key is missing or has no equal.
    """
    if missing := [key for key in _PREPROCESS_KEYS if not config.get(key)]:
        raise ModelDirectoryError(
            f"{place}: the preprocessing lacks {', '.join(missing)}; a default could change the features. Take the "
            f"complete folder of the tower."
        )
    channels, height, width = (int(value) for value in config["input_size"])
    if channels != 3 or len(config["mean"]) != 3 or len(config["std"]) != 3:
        raise ModelDirectoryError(f"{place}: {channels} channels, mean {config['mean']}; towers here read RGB.")
    mean, std = triple(config["mean"]), triple(config["std"])
    if config["interpolation"] not in ("bilinear", "bicubic"):
        raise ModelDirectoryError(
            f"{place}: interpolation {config['interpolation']!r} is not supported (bilinear and bicubic are)."
        )
    mode, crop = config.get("crop_mode") or "center", float(config["crop_pct"])
    if mode == "center":
        if height != width:
            raise ModelDirectoryError(f"{place}: a centre crop of {height} x {width}, not square, is not supported.")
        return ImagePreprocess(
            (height, width), "shortest", math.floor(height / crop), config["interpolation"], mean, std
        )
    if crop != 1 or mode not in ("squash", "border"):
        raise ModelDirectoryError(f"{place}: crop_mode {mode!r} with crop_pct {crop} is not supported.")
    fills = {round(255 * value) for value in mean}
    if mode == "border" and len(fills) != 1:
        raise ModelDirectoryError(f"{place}: a coloured border {sorted(fills)} is not supported, only a grey one.")
    return ImagePreprocess(
        (height, width),
        "squash" if mode == "squash" else "pad",
        min(height, width),
        config["interpolation"],
        mean,
        std,
        fill=fills.pop() if mode == "border" else 0,
    )


def triple(values: Sequence[Any]) -> tuple[float, float, float]:
    """Three numbers, one per colour."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _from_folder(folder: Path, pooling: Pooling) -> TimmEncoder:
    path = folder / CONFIG_FILE
    config = read_json(path, "the architecture and the preprocessing")
    # The older form of timm has everything on one level.
    pretrained = config.get("pretrained_cfg", config)
    if "architecture" not in config:
        raise ModelDirectoryError(f"{path} names no architecture of timm. Take the complete folder of the tower.")
    preprocess = preprocess_of(pretrained, str(path))
    weights = find_weights(folder, ("model", "pytorch_model"))
    encoder = TimmEncoder(config["architecture"], preprocess, pooling, config.get("model_args"))
    load_strict(encoder.network, _without_classifier(read_weights(weights), pretrained), weights[0])
    encoder.licence = pretrained.get("license") or licence_of(folder)
    return encoder


def _from_name(name: str, pooling: Pooling) -> TimmEncoder:
    if not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name.split('.')[0][:12]}*")[:5]
        offer = f"; near names: {', '.join(near)}" if near else ""
        raise ConfigurationError(
            f"timm/{name}: timm has no such model{offer}. A local folder is named with its path: timm/./my_tower."
        )
    try:
        pretrained: Any = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:
        raise ConfigurationError(
            f"timm/{name}: the weights cannot be fetched ({type(error).__name__}: {error}). On a machine with network, "
            f"save them with timm.models.save_for_hf and name the folder: timm/path/to/folder."
        ) from error
    config = pretrained.pretrained_cfg
    data = resolve_model_data_config(pretrained)  # type: ignore[no-untyped-call]
    # The tag belongs to the name: without it another release of timm could mean other weights, sizes and crops.
    full = f"{config['architecture']}.{config['tag']}" if config.get("tag") else config["architecture"]
    encoder = TimmEncoder(full, preprocess_of(data, f"timm/{name}"), pooling)
    load_strict(encoder.network, pretrained.state_dict(), f"timm/{name}")
    encoder.licence = config.get("license") or "unknown"
    return encoder


def _create(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(architecture, pretrained=False, **{**arguments, "num_classes": 0})
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ModelDirectoryError(
            f"timm {timm.__version__} cannot build {architecture!r} with {dict(arguments)}: {error}. Install the "
            f"release of timm that wrote the weights."
        ) from error
    return network


def _without_classifier(state: dict[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    names = config.get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
    return {key: value for key, value in state.items() if not (prefixes and key.startswith(prefixes))}


def _layout(network: nn.Module, features: Tensor) -> Literal["NCHW", "NHWC"] | None:
    if features.ndim != 4:
        return None
    return "NHWC" if getattr(network, "output_fmt", "NCHW") == "NHWC" else "NCHW"
