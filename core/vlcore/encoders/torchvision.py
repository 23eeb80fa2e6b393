"""Image towers of torchvision with the transforms that come with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from vlcore.encoders.base import ImageEncoder
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.timm import triple
from vlcore.encoders.weights import load_strict
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable

_HEADS = ("fc", "classifier", "heads", "head")


class TorchvisionEncoder(ImageEncoder):
    """An image tower of torchvision without its last linear layer; it has no tokens.

    Args:
        architecture: name of torchvision, such as `resnet18`.
        preprocess: that the weights were trained with.
    """

    def __init__(self, architecture: str, preprocess: ImagePreprocess) -> None:
        super().__init__()
        self.architecture = architecture
        self.preprocess = preprocess
        self.source = f"torchvision/{architecture}"
        self.network = _create(architecture)
        self.width = _remove_classifier(self.network, architecture)

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> TorchvisionEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(config["architecture"], preprocess)

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        return EncoderOutput(None, self.network(pixels))

    def blocks(self) -> Sequence[nn.Module]:
        """Stages of a convolutional network, layers of a transformer."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation and pooling."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """The architecture."""
        return {"architecture": self.architecture}


def build_image(argument: str, trainable: Trainable = "none") -> TorchvisionEncoder:
    """Build a tower with torchvision's default weights, which are fetched once and checked by their hash.

    Args:
        argument: an image classification model of torchvision.
        trainable: which part learns.

    Raises:
        ConfigurationError: if there is no such model, its preprocessing has no equal, or it cannot be fetched.
    """
    if argument not in torchvision.models.list_models(module=torchvision.models):
        raise ConfigurationError(f"torchvision/{argument}: torchvision has no such classification model.")
    weights = torchvision.models.get_model_weights(argument).DEFAULT
    encoder = TorchvisionEncoder(argument, preprocess_of(weights.transforms(), argument))
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        raise ConfigurationError(
            f"torchvision/{argument}: the weights cannot be fetched ({type(error).__name__}: {error}). Put the file "
            f"{weights.url.rpartition('/')[2]} into {torch.hub.get_dir()}/checkpoints."
        ) from error
    whole = _create(argument)
    load_strict(whole, state, weights.url)
    _remove_classifier(whole, argument)
    load_strict(encoder.network, whole.state_dict(), weights.url)
    encoder.licence = "BSD-3-Clause (torchvision); the weights were trained on ImageNet"
    encoder.set_trainable(trainable)
    return encoder.eval()


def preprocess_of(transforms: Any, name: str) -> ImagePreprocess:
    """Turn torchvision's classification preset into vlcore's preprocessing.

    Raises:
        ConfigurationError: if it has no equal.
    """
    interpolation = transforms.interpolation.value
    crop, resize = list(transforms.crop_size), list(transforms.resize_size)
    if len(crop) != 1 or len(resize) != 1 or interpolation not in ("bilinear", "bicubic"):
        raise ConfigurationError(f"torchvision/{name}: its preprocessing {transforms} is not supported.")
    return ImagePreprocess(
        (crop[0], crop[0]), "shortest", resize[0], interpolation, triple(transforms.mean), triple(transforms.std)
    )


def _create(architecture: str) -> nn.Module:
    network: nn.Module = torchvision.models.get_model(architecture, weights=None)
    if getattr(network, "aux_logits", False):
        raise ConfigurationError(
            f"torchvision/{architecture} has auxiliary classifiers and is not supported: take it from timm."
        )
    return network


def _remove_classifier(network: nn.Module, architecture: str) -> int:
    """Replace the last linear layer with the identity and return its number of inputs."""
    for name in _HEADS:
        if not isinstance(head := getattr(network, name, None), nn.Module):
            continue
        linear = [key for key, module in head.named_modules() if isinstance(module, nn.Linear)]
        if linear:
            path = f"{name}.{linear[-1]}".rstrip(".")
            last = network.get_submodule(path)
            parent, _, leaf = path.rpartition(".")
            setattr(network.get_submodule(parent), leaf, nn.Identity())
            assert isinstance(last, nn.Linear)
            return last.in_features
    raise ConfigurationError(f"torchvision/{architecture} ends in no linear layer and is not supported.")
