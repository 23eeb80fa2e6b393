"""Two towers in one space from transformers: CLIP, SigLIP, SigLIP 2 and models built like them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from vlcore.encoders.base import DualTowers, ImageEncoder, TextEncoder, TextTokenizer
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.prefix_sharing import CausalBlock, encode_ends
from vlcore.encoders.source_folder import licence_of, source_folder
from vlcore.encoders.tokenizer import check_vocabulary, load_tokenizer
from vlcore.encoders.transformers_model import (
    build_config,
    is_dual,
    load_pretrained,
    model_class,
    plain_config,
    read_config,
)
from vlcore.encoders.transformers_preprocess import read_preprocess
from vlcore.encoders.transformers_tokenizer import plain_tokenizer, read_transformers_tokenizer
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import EncoderOutput, ImagePreprocess, Trainable

# These were trained with padding that is attended like words, and read the last position: it must be there.
_PADDING_MATTERS = ("siglip", "siglip2")
# These end a text with a token that the pooling looks for.
_POOLS_AT_END = ("clip", "metaclip_2")
# Before transformers 4.32 configurations of CLIP named a wrong end token; the highest id is meant.
_LEGACY_END = 2


class TransformersDualImageEncoder(ImageEncoder):
    """The image side of a two-tower model, its pooled feature projected into the common space.

    Args:
        network: the whole model; only its image side is kept.
        preprocess: that the weights were trained with.
    """

    def __init__(self, network: nn.Module, preprocess: ImagePreprocess) -> None:
        super().__init__()
        self.network = _one_side(network, "image")
        self.preprocess = preprocess
        self.source = f"transformers/{type(network).__name__}"
        try:
            with torch.no_grad():
                self.width = int(self.eval().encode(torch.zeros(1, 3, *preprocess.size)).pooled.shape[1])
        except (RuntimeError, ValueError) as error:
            raise ModelDirectoryError(
                f"{self.source} cannot read images of the size {preprocess.size} that its preprocessing makes: {error}"
            ) from error

    @classmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> TransformersDualImageEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(_untrained(config), preprocess)

    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""
        return _output(self.network.get_image_features(pixel_values=pixels))  # type: ignore[operator]

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation, pooling and projection."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """Configuration of transformers."""
        return {"transformers": plain_config(self.network.config)}


class TransformersDualTextEncoder(TextEncoder):
    """The text side of a two-tower model, its pooled feature projected into the common space.

    Texts are computed at their own length where padding cannot change them (causal or masked attention), and at the
    full context length where the model was trained to attend to padding (SigLIP).

    Args:
        network: the whole model; only its text side is kept.
        tokenizer: made for it.
    """

    shares_prefixes: ClassVar[bool] = True

    def __init__(self, network: nn.Module, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.network = _one_side(network, "text")
        self.tokenizer = tokenizer
        self.context_length = tokenizer.context_length
        self.source = f"transformers/{type(network).__name__}"
        config: Any = network.config
        check_vocabulary(tokenizer, config.text_config.vocab_size, self.source)
        self._padding_matters = config.model_type in _PADDING_MATTERS
        self._causal = config.model_type == "clip"
        self._end_id = int(config.text_config.eos_token_id) if self._causal else -1
        ids = torch.zeros(1, min(4, self.context_length), dtype=torch.long)
        with torch.no_grad():
            self.width = int(self.eval()(ids, torch.ones_like(ids)).pooled.shape[1])

    @classmethod
    def from_config(cls, config: dict[str, Any], tokenizer_folder: Path) -> TransformersDualTextEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        return cls(_untrained(config), load_tokenizer(tokenizer_folder))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Encode ids `[B, L]` int64 with mask `[B, L]`."""
        # Whoever made the batch may have padded with another id.
        ids = input_ids.masked_fill(attention_mask == 0, self.tokenizer.pad_id)
        if self._padding_matters:
            ids = nn.functional.pad(ids, (0, self.context_length - ids.shape[1]), value=self.tokenizer.pad_id)
            return _output(self.network.get_text_features(input_ids=ids))  # type: ignore[operator]
        return _output(self.network.get_text_features(input_ids=ids, attention_mask=attention_mask))  # type: ignore[operator]

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled features `[B, D]` alone; for CLIP without gradients, common beginnings are computed once."""
        if not self._causal or torch.is_grad_enabled():
            return super().pool(input_ids, attention_mask)
        tower: Any = self.network.text_model
        ids = input_ids.masked_fill(attention_mask == 0, self.tokenizer.pad_id)
        found = ids if self._end_id == _LEGACY_END else ids.eq(self._end_id).int()
        ends = encode_ends(ids, found.argmax(dim=1), partial(_embed, tower), _causal_blocks(tower))
        pooled: Tensor = self.network.text_projection(tower.final_layer_norm(ends))  # type: ignore[operator]
        return pooled

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation and projection."""
        return find_blocks(self.network, self.source)[1]

    def config(self) -> dict[str, Any]:
        """Configuration of transformers."""
        return {"transformers": plain_config(self.network.config)}


def build_dual(argument: str, trainable: Trainable = "none") -> DualTowers:
    """Build both towers from a hub id or a complete local folder.

    Args:
        argument: `organisation/name` or a folder with config.json, weights, tokeniser and preprocessor_config.json.
        trainable: which part of each tower learns.

    Raises:
        ConfigurationError: if there is no such model, it cannot be fetched, or it has not two towers.
        ModelDirectoryError: if a folder is incomplete or does not fit.
    """
    folder = source_folder(argument, "transformers")
    towers = load_dual(folder)
    for tower in (towers.image, towers.text):
        tower.source = f"transformers/{argument}"
        tower.set_trainable(trainable)
        tower.eval()
    return towers


def load_dual(folder: Path) -> DualTowers:
    """Load both towers of a folder.

    Raises:
        ConfigurationError: if the model has not two towers.
        ModelDirectoryError: if something is missing or does not fit.
    """
    config = read_config(folder)
    if not is_dual(config):
        raise ConfigurationError(
            f"{folder}: {config.model_type!r} has not an image and a text tower in one space. Choose a CLIP-like "
            f"model, or combine an image tower and a text tower."
        )
    if config.model_type == "siglip2":
        raise ConfigurationError(
            f"{folder}: SigLIP 2 with images of variable size (NaFlex) is not supported. Choose a fixed-size release, "
            f"such as siglip2-base-patch16-224."
        )
    preprocess = read_preprocess(folder)
    raw = read_transformers_tokenizer(folder)
    tokenizer = plain_tokenizer(raw, config.text_config.max_position_embeddings)
    _check_end(config, raw, tokenizer, folder)
    network = load_pretrained(folder, model_class(config), config)
    scale, bias = _temperature(network, folder)
    image = TransformersDualImageEncoder(network, preprocess)
    text = TransformersDualTextEncoder(network, tokenizer)
    if image.width != text.width:
        raise ConfigurationError(f"{folder}: the towers give {image.width} and {text.width} numbers, not one space.")
    image.licence = text.licence = licence_of(folder)
    return DualTowers(image, text, scale, bias)


def _untrained(config: dict[str, Any]) -> nn.Module:
    values = build_config(config["transformers"])
    return model_class(values)(values)


def _one_side(network: nn.Module, side: Literal["image", "text"]) -> nn.Module:
    """The model with the layers of one side only; its own methods go on working for that side."""
    half = copy.copy(network)
    half._parameters = {}
    half._modules = {name: child for name, child in network._modules.items() if _side_of(name) == side}
    return half


def _side_of(name: str) -> Literal["image", "text"]:
    if "text" in name:
        return "text"
    if "vis" in name or "image" in name:
        return "image"
    raise ConfigurationError(f"The layer {name!r} belongs to neither tower by its name; the model is not supported.")


def _temperature(network: Any, folder: Path) -> tuple[float, float | None]:
    """Exponentiated scale, and SigLIP's bias."""
    if not hasattr(network, "logit_scale"):
        raise ConfigurationError(f"{folder}: {type(network).__name__} has no logit_scale and is not supported.")
    bias = getattr(network, "logit_bias", None)
    return math.exp(float(network.logit_scale.detach())), None if bias is None else float(bias.detach())


def _check_end(config: Any, raw: Any, tokenizer: TextTokenizer, folder: Path) -> None:
    """The pooling must find the token that the tokeniser ends texts with."""
    if config.model_type not in _POOLS_AT_END:
        return
    expected = config.text_config.eos_token_id
    found = raw.eos_token_id
    if found != (tokenizer.largest_id if expected == _LEGACY_END else expected):
        raise ModelDirectoryError(
            f"{folder}: the tokeniser ends texts with id {found}, the model pools at "
            f"{f'the highest id, {tokenizer.largest_id}' if expected == _LEGACY_END else f'id {expected}'}. Tokeniser "
            f"and weights belong to different models: take both from one release."
        )


def _output(features: Any) -> EncoderOutput:
    # Releases before 5 return the projected feature alone.
    if isinstance(features, Tensor):
        return EncoderOutput(None, features)
    return EncoderOutput(features.last_hidden_state, features.pooler_output)


def _embed(tower: Any, tokens: Tensor, positions: Tensor) -> Tensor:
    states: Tensor = tower.embeddings.token_embedding(tokens) + tower.embeddings.position_embedding(positions)
    return states


def _causal_blocks(tower: Any) -> list[CausalBlock]:
    return [
        CausalBlock(
            layer.self_attn.num_heads,
            layer.layer_norm1,
            layer.self_attn.q_proj,
            layer.self_attn.k_proj,
            layer.self_attn.v_proj,
            layer.self_attn.out_proj,
            layer.layer_norm2,
            layer.mlp,
        )
        for layer in tower.encoder.layers
    ]
