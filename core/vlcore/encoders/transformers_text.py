"""Text towers of transformers that pool their token states: BERT, RoBERTa, MPNet, T5 encoders and their kin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from vlcore.encoders.base import TextEncoder, TextTokenizer
from vlcore.encoders.layout import find_blocks
from vlcore.encoders.source_folder import licence_of, source_folder
from vlcore.encoders.text_pooling import UnitNorm, check_modes, pool_tokens
from vlcore.encoders.tokenizer import Cleaning, check_vocabulary, load_tokenizer
from vlcore.encoders.transformers_model import (
    accepts_pooling_layer,
    build_config,
    embedding_rows,
    is_dual,
    load_pretrained,
    model_class,
    plain_config,
    read_config,
)
from vlcore.encoders.transformers_tokenizer import plain_tokenizer, read_transformers_tokenizer
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, Trainable

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "Identity": nn.Identity,
    "Tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
}


class TransformersTextEncoder(TextEncoder):
    """A text tower that pools the states of its real tokens; padding never changes the result.

    Args:
        network: a plain model of transformers, without heads.
        tokenizer: made for it.
        pooling: one mode or several that are appended to each other.
        stages: what follows pooling, in order: `{"kind": "dense", "in_features", "out_features", "bias",
            "activation"}` or `{"kind": "normalise"}`.
        layers: whose token states are pooled and appended to each other; 0 is the word embeddings, N the output of
            layer N. None: the last layer alone.

    Raises:
        ConfigurationError: if a pooling mode or a layer is not there.
    """

    def __init__(
        self,
        network: nn.Module,
        tokenizer: TextTokenizer,
        pooling: Sequence[str] = ("mean",),
        stages: Sequence[Mapping[str, Any]] = (),
        layers: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_modes(pooling, type(network).__name__)
        _check_layers(layers, network)
        check_vocabulary(tokenizer, embedding_rows(network), type(network).__name__)
        self.network = network
        self.tokenizer = tokenizer
        self.context_length = tokenizer.context_length
        self.pooling = tuple(pooling)
        self.stages = [dict(stage) for stage in stages]
        self.head = nn.Sequential(*(_stage(stage) for stage in self.stages))
        self.source = f"transformers/{type(network).__name__}"
        dense = [stage["out_features"] for stage in self.stages if stage["kind"] == "dense"]
        self.layers = None if layers is None else tuple(layers)
        self.width = dense[-1] if dense else _hidden_size(network) * len(self.pooling) * len(self.layers or (-1,))

    @classmethod
    def from_config(cls, config: dict[str, Any], tokenizer_folder: Path) -> TransformersTextEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""
        values = build_config(config["transformers"])
        factory, arguments = text_class(values)
        network, tokenizer = factory(values, **arguments), load_tokenizer(tokenizer_folder)
        return cls(network, tokenizer, config["pooling"], config["stages"], config["layers"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Encode ids `[B, L]` int64 with mask `[B, L]`."""
        output = self.network(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=self.layers is not None
        )
        states = output.last_hidden_state
        chosen = [states] if self.layers is None else [output.hidden_states[layer] for layer in self.layers]
        pooled = torch.cat([pool_tokens(layer, attention_mask, self.pooling) for layer in chosen], dim=-1)
        return EncoderOutput(states, self.head(pooled))

    def blocks(self) -> Sequence[nn.Module]:
        """Transformer layers."""
        return find_blocks(self.network, self.source)[0]

    def after_blocks(self) -> Sequence[nn.Module]:
        """Final normalisation and dense layers."""
        return [*find_blocks(self.network, self.source)[1], self.head]

    def config(self) -> dict[str, Any]:
        """Configuration of transformers, pooling and what follows it."""
        return {
            "transformers": plain_config(self.network.config),
            "pooling": list(self.pooling),
            "stages": self.stages,
            "layers": None if self.layers is None else list(self.layers),
        }


def build_text(argument: str, trainable: Trainable = "none") -> TextEncoder:
    """Build a pretrained text tower from a hub id or a complete local folder.

    A folder of sentence-transformers keeps its own pooling; the text side of CLIP or SigLIP its projection; any
    other model pools the mean of its token states.

    Args:
        argument: `organisation/name` or a folder with config.json, weights and tokeniser.
        trainable: which part learns.

    Raises:
        ConfigurationError: if there is no such tower, or it cannot be fetched.
        ModelDirectoryError: if a folder is incomplete or does not fit.
    """
    folder = source_folder(argument, "transformers")
    config = read_config(folder)
    encoder: TextEncoder
    if (folder / "modules.json").is_file():
        from vlcore.encoders import sentence_transformers

        encoder = sentence_transformers.load_text(folder)
    elif is_dual(config):
        from vlcore.encoders import transformers_dual

        encoder = transformers_dual.load_dual(folder).text
    else:
        encoder = load_text(folder)
    encoder.source = f"transformers/{argument}"
    encoder.set_trainable(trainable)
    return encoder.eval()


def load_text(
    folder: Path,
    pooling: Sequence[str] = ("mean",),
    stages: Sequence[Mapping[str, Any]] = (),
    *,
    layers: Sequence[int] | None = None,
    context_length: int | None = None,
    cleaning: Cleaning = "none",
    prompt: str = "",
) -> TransformersTextEncoder:
    """Load network and tokeniser of a folder; dense stages still have random weights.

    Args:
        folder: with config.json, weights and tokeniser.
        pooling: see `TransformersTextEncoder`.
        stages: likewise.
        layers: likewise.
        context_length: a smaller limit than the model's own, or None.
        cleaning: of texts before they are split.
        prompt: put before every text.

    Raises:
        ModelDirectoryError: if something is missing or does not fit.
    """
    config = read_config(folder)
    factory, arguments = text_class(config)
    network = load_pretrained(folder, factory, config, **arguments)
    limits = [limit for limit in (context_length, _positions(network)) if limit is not None]
    tokenizer = plain_tokenizer(
        read_transformers_tokenizer(folder), min(limits, default=512), cleaning=cleaning, prompt=prompt
    )
    encoder = TransformersTextEncoder(network, tokenizer, pooling, stages, layers)
    encoder.licence = licence_of(folder)
    return encoder


def text_class(config: Any) -> tuple[type[nn.Module], dict[str, Any]]:
    """Class of a text model and its constructor's arguments; poolers and decoders are left out.

    Raises:
        ConfigurationError: if the model is no text tower.
    """
    factory = model_class(config)
    if config.model_type.endswith("_text_model"):
        raise ConfigurationError(
            f"A folder with the text half alone ({config.model_type}) does not say how it pools. Load the folder of "
            f"the whole two-tower model."
        )
    # Building T5's encoder marks its configuration as no longer of both halves: the class tells, not the mark.
    encoder_alone: type[nn.Module] | None = getattr(
        transformers, f"{factory.__name__.removesuffix('Model')}EncoderModel", None
    )
    if encoder_alone is None and config.is_encoder_decoder:
        raise ConfigurationError(f"{factory.__name__} has no encoder of its own; choose another text tower.")
    factory = encoder_alone or factory
    # An untrained pooler would be random, a trained one serves another task: token states are pooled here.
    return factory, {"add_pooling_layer": False} if accepts_pooling_layer(factory) else {}


def _stage(stage: Mapping[str, Any]) -> nn.Module:
    if stage["kind"] == "normalise":
        return UnitNorm()
    if stage["kind"] != "dense" or stage["activation"] not in _ACTIVATIONS:
        raise ConfigurationError(f"The stage {dict(stage)} after pooling is not known.")
    linear = nn.Linear(stage["in_features"], stage["out_features"], bias=stage["bias"])
    return nn.Sequential(linear, _ACTIVATIONS[stage["activation"]]())


def _check_layers(layers: Sequence[int] | None, network: nn.Module) -> None:
    if layers is None:
        return
    depth = len(find_blocks(network, type(network).__name__)[0])
    if not layers or not all(0 <= layer <= depth for layer in layers):
        raise ConfigurationError(
            f"layers={list(layers)}: {type(network).__name__} has layers 1 to {depth}, and 0 for its word embeddings; "
            f"name at least one of them."
        )


def _hidden_size(network: nn.Module) -> int:
    for name in ("hidden_size", "d_model", "dim"):
        if isinstance(size := getattr(network.config, name, None), int):
            return size
    raise ConfigurationError(f"{type(network).__name__} does not state its width; choose another text tower.")


def _positions(network: nn.Module) -> int | None:
    """The most tokens that the position table serves, or None where positions are relative."""
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa counts positions from behind its padding index.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    limit = getattr(network.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
