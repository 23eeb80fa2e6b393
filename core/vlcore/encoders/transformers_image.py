"""Image towers of transformers: ViT, DINOv2, ConvNeXt, Swin and their kin, and the image side of CLIP models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import transformers
from torch import Tensor, nn

from vlcore.encoders.base import ImageEncoder
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.source_folder import licence_of, source_folder
from vlcore.encoders.transformers_model import (
    accepts_pooling_layer,
    build_config,
    is_dual,
    load_pretrained,
    model_class,
    plain_config,
    read_config,
)
from vlcore.encoders.transformers_preprocess import read_preprocess
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable

_PROJECTION = "WithProjection"


class TransformersImageEncoder(ImageEncoder):
    """An image tower of transformers.

    Args:
        network: a plain vision model, or one with its contrastive projection.
        preprocess: that the weights were trained with.
        pooling: `cls` takes the state of the first token, `pooler` what the model itself returns as pooled.
    """

    def __init__(self, network: nn.Module, preprocess: ImagePreprocess, pooling: Literal["cls", "pooler"]) -> None:
        super().__init__()
        self.network = network
        self.preprocess = preprocess
        self.pooling = pooling
        self.source = f"transformers/{type(network).__name__}"
        # One black image says how wide the features are, and whether the size fits the position table.
        try:
            with torch.no_grad():
                self.width = int(self.eval().encode(torch.zeros(1, 3, *preprocess.size)).pooled.shape[1])
        except (RuntimeError, ValueError) as error:
            raise ModelDirectoryError(
                f"{self.source} cannot read images of the size {preprocess.size} that its preprocessing makes: {error}"
            ) from error

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> TransformersImageEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        values = build_config(config["transformers"])
        factory, pooling, arguments = image_class(values, config["projected"])
        return cls(factory(values, **arguments), preprocess, pooling)

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        output = self.network(pixel_values=pixels)
        tokens: Tensor = output.last_hidden_state
        if tokens.ndim == 4:
            tokens = tokens.flatten(2).transpose(1, 2)  # [B, C, H, W] -> [B, H*W, C]
        if self.pooling == "cls":
            return EncoderOutput(tokens, tokens[:, 0])
        pooled = output.get("image_embeds", output.get("pooler_output"))
        if pooled is None:
            raise ConfigurationError(f"{self.source} returns no pooled feature; choose another image tower.")
        return EncoderOutput(tokens, pooled.flatten(1))

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers or convolutional stages."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation, pooling and projection."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """Configuration of transformers, and whether the contrastive projection is part of the tower."""
        return {
            "transformers": plain_config(self.network.config),
            "projected": type(self.network).__name__.endswith(_PROJECTION),
        }


def build_image(argument: str, trainable: Trainable = "none") -> ImageEncoder:
    """Build a pretrained image tower from a hub id or a complete local folder.

    Args:
        argument: `organisation/name` or a folder with config.json, weights and preprocessor_config.json.
        trainable: which part learns.

    Raises:
        ConfigurationError: if there is no such tower, or it cannot be fetched.
        ModelDirectoryError: if a folder is incomplete, does not fit, or has a preprocessing without an equal.
    """
    folder = source_folder(argument, "transformers")
    config = read_config(folder)
    encoder: ImageEncoder
    if is_dual(config):
        from vlcore.encoders import transformers_dual

        encoder = transformers_dual.load_dual(folder).image
    else:
        preprocess = read_preprocess(folder)
        named = (config.architectures or [""])[0]
        factory, pooling, arguments = image_class(config, named.endswith(_PROJECTION))
        encoder = TransformersImageEncoder(load_pretrained(folder, factory, config, **arguments), preprocess, pooling)
        encoder.licence = licence_of(folder)
    encoder.source = f"transformers/{argument}"
    encoder.set_trainable(trainable)
    return encoder.eval()


def image_class(config: Any, projected: bool) -> tuple[type[nn.Module], Literal["cls", "pooler"], dict[str, Any]]:
    """Class of an image model, how it is pooled, and its constructor's arguments.

    Args:
        config: a `transformers.PretrainedConfig`.
        projected: whether the contrastive projection is part of the tower.

    Raises:
        ConfigurationError: if the model is no image tower.
    """
    factory = model_class(config)
    if "pixel_values" not in (getattr(factory, "main_input_name", ""), *_arguments_of(factory)):
        raise ConfigurationError(f"{factory.__name__} reads no images; choose an image tower.")
    if projected:
        with_projection: type[nn.Module] = getattr(transformers, f"{factory.__name__}{_PROJECTION}")
        return with_projection, "pooler", {}
    if accepts_pooling_layer(factory):
        with torch.device("meta"):
            plain = factory(config)
        # A dense pooler is left untrained by most releases; classifiers on top of them read the first token.
        if any(key.startswith("pooler.dense.") for key in plain.state_dict()):
            return factory, "cls", {"add_pooling_layer": False}
    return factory, "pooler", {}


def _arguments_of(factory: type[nn.Module]) -> tuple[str, ...]:
    import inspect

    return tuple(inspect.signature(factory.forward).parameters)
