"""Weights of a pretrained BERT-like text tower in a fusion encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlcore.encoders.base import TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.models.fusion.layer import FusionLayer
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.stream import FusionStream

_LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "output_norm",
}
_FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
"""Architectures with BERT's layers under BERT's names."""


def shape_of(tower: TextEncoder, layers: int | None = None, dropout: float | None = None) -> FusionShape:
    """Sizes of a pretrained text tower.

    Args:
        tower: `transformers/…`, `sentence_transformers/…` or `starter/minilm`.
        layers: the first so many of the tower's; all if left out.
        dropout: in place of the tower's own.

    Raises:
        ConfigurationError: if the tower is not of BERT's family, or has fewer layers.
    """
    config = _config(tower)
    depth = int(config.num_hidden_layers)
    if layers is not None and not 2 <= layers <= depth:
        raise ConfigurationError(f"layers={layers}: {tower.source} has {depth}; choose 2 to {depth}.")
    return FusionShape(
        vocabulary=int(config.vocab_size),
        width=int(config.hidden_size),
        layers=depth if layers is None else layers,
        heads=int(config.num_attention_heads),
        intermediate=int(config.intermediate_size),
        positions=int(config.max_position_embeddings) - _offset(tower),
        dropout=float(config.hidden_dropout_prob) if dropout is None else dropout,
        norm_epsilon=float(config.layer_norm_eps),
    )


@torch.no_grad()
def load_text_weights(stream: FusionStream, tower: TextEncoder) -> None:
    """Fill embeddings and layers of an encoder with those of a text tower; what it has no weights for stays.

    That is all that concerns images: their embedding, and attention to them.

    Args:
        stream: with the tower's sizes (`shape_of`).
        tower: of BERT's family.
    """
    state: dict[str, Tensor] = _network(tower).state_dict()
    embedding, offset = stream.text_embedding, _offset(tower)
    embedding.word.weight.copy_(state["embeddings.word_embeddings.weight"])
    embedding.position.weight.copy_(state["embeddings.position_embeddings.weight"][offset:])
    embedding.kind.copy_(state["embeddings.token_type_embeddings.weight"][0])
    _fill(embedding.norm, state, "embeddings.LayerNorm")
    for number, layer in enumerate(stream.text_layers()):
        assert isinstance(layer, FusionLayer)
        for theirs, ours in _LAYER.items():
            _fill(layer.get_submodule(ours), state, f"encoder.layer.{number}.{theirs}")


def _fill(module: nn.Module, state: dict[str, Tensor], prefix: str) -> None:
    for name, parameter in module.named_parameters():
        parameter.copy_(state[f"{prefix}.{name}"])


def _config(tower: TextEncoder) -> Any:
    config: Any = getattr(getattr(tower, "network", None), "config", None)
    family = getattr(config, "model_type", type(tower).__name__)
    if family not in _FAMILY:
        raise ConfigurationError(
            f"{tower.source} is of the family {family!r}; a fusion encoder takes the weights of {', '.join(_FAMILY)}. "
            f"Choose such a tower, or a size with random weights (size: tiny, small or base)."
        )
    width = getattr(config, "embedding_size", config.hidden_size)
    if width != config.hidden_size:
        raise ConfigurationError(
            f"{tower.source} has word embeddings of {width} numbers and layers of {config.hidden_size}; choose a tower "
            f"where both are alike."
        )
    if config.hidden_act != "gelu":
        raise ConfigurationError(f"{tower.source} has the activation {config.hidden_act!r}; only gelu is supported.")
    return config


def _network(tower: TextEncoder) -> nn.Module:
    network: Any = tower
    return network.network  # type: ignore[no-any-return]


def _offset(tower: TextEncoder) -> int:
    """Positions that are left unused: RoBERTa counts from behind its padding index."""
    table = _network(tower).get_submodule("embeddings.position_embeddings")
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1
