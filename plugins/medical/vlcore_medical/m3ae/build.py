"""From flat names to an M3AE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from vlcore.encoders import build_text_encoder
from vlcore.encoders.tokenizer import FastTokenizer
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import load_model_directory
from vlcore.models.fusion.text_weights import load_text_weights, shape_of
from vlcore_medical.m3ae.clip_weights import load_clip_weights
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.network import PRETRAINING, HeadName, M3AENetwork
from vlcore_medical.m3ae.positions import resize_positions
from vlcore_medical.m3ae.shape import SIZES, M3AEShape, SizeName


def build_m3ae(
    size: SizeName,
    text_encoder: str,
    *,
    image_size: int | None = None,
    image_weights: str | None = None,
    text_weights: bool = False,
    max_tokens: int = 64,
    drop_image_block: bool = False,
    dropout: float = 0.1,
) -> M3AEModel:
    """Build an M3AE for pre-training.

    Args:
        size: of towers, fusion and decoder.
        text_encoder: name of a text tower of BERT's family: its tokeniser, and with `text_weights` its weights.
        image_size: pixels of a side, in place of the size's own.
        image_weights: folder or hub id of a CLIP of transformers whose image tower M3AE begins with; random if None.
        text_weights: begin with the text tower's weights; width and heads have to be those of the size.
        max_tokens: that texts are cut at.
        drop_image_block: leave the last block of the image tower out.
        dropout: of texts and fusion.

    Raises:
        ConfigurationError: if the parts do not fit together.
        UnknownNameError: if there is no such text tower.
    """
    text = build_text_encoder(text_encoder)
    if not isinstance(text.tokenizer, FastTokenizer):
        raise ConfigurationError(f"{text_encoder}: the tokeniser has no tokenizer.json; masked words need one.")
    tokenizer = shortened(text.tokenizer, max_tokens)
    shape = M3AEShape(text.tokenizer.largest_id + 1, positions=text.tokenizer.context_length, **SIZES[size])
    shape = replace(
        shape,
        dropout=dropout,
        image_size=shape.image_size if image_size is None else image_size,
        image_layers=shape.image_layers - int(drop_image_block),
    )
    if text_weights:
        tower = shape_of(text)
        sizes = [(one.width, one.heads, one.intermediate) for one in (tower, shape)]
        if sizes[0] != sizes[1]:
            raise ConfigurationError(
                f"text_weights: {text_encoder} has width, heads and intermediate {sizes[0]}, and size={size!r} has "
                f"{sizes[1]}. Choose another text tower, or text_weights=false."
            )
        shape = replace(
            shape,
            vocabulary=tower.vocabulary,
            positions=tower.positions,
            text_layers=tower.layers,
            text_norm_epsilon=tower.norm_epsilon,
        )
    model = M3AEModel(ClipImageEncoder.of(shape), tokenizer, M3AENetwork(shape, PRETRAINING))
    if text_weights:
        load_text_weights(model.network.stream, text)
    if image_weights is not None:
        load_clip_weights(model.image_encoder, image_weights)
    model.text_encoder.source, model.text_encoder.licence = text.source, text.licence
    return model


def shortened(tokenizer: FastTokenizer, tokens: int) -> FastTokenizer:
    """The same tokeniser, cutting texts at fewer tokens.

    Raises:
        ConfigurationError: if the text tower reads fewer than that.
    """
    if tokens > tokenizer.context_length:
        raise ConfigurationError(f"max_tokens={tokens}: the text tower reads {tokenizer.context_length}.")
    return FastTokenizer(Tokenizer.from_str(tokenizer.to_json()), replace(tokenizer.settings, context_length=tokens))


def load_m3ae(path: Path | str) -> M3AEModel:
    """The M3AE of a model directory, everything of which learns.

    Raises:
        ConfigurationError: if it is another kind of model.
        ModelDirectoryError: if a part is missing or changed.
    """
    model = load_model_directory(path).model
    if not isinstance(model, M3AEModel):
        raise ConfigurationError(f"start_from={str(path)!r} holds a {type(model).__name__} and no M3AE.")
    model.image_encoder.set_trainable("all")
    return model


@torch.no_grad()
def with_heads(
    model: M3AEModel, heads: Sequence[HeadName], answers: Sequence[str] | None = None, image_size: int | None = None
) -> M3AEModel:
    """An M3AE with other heads for another task, or for larger images; what both have keeps its weights.

    A new head for ranking begins with what the head for matching says of yes (arXiv 2209.07098, section 4.2).

    Args:
        model: pre-trained.
        heads: that are wanted.
        answers: that the head for answers chooses among.
        image_size: pixels of a side; positions are interpolated.
    """
    old = model.network
    shape = replace(old.m3ae_shape, image_size=image_size or old.m3ae_shape.image_size)
    fresh = M3AEModel(ClipImageEncoder.of(shape), model.tokenizer, M3AENetwork(shape, heads, answers))
    own, given = fresh.state_dict(), model.state_dict()
    same_answers = old.answers == fresh.network.answers
    for name, tensor in own.items():
        if name == "image_encoder.position":
            tensor.copy_(resize_positions(given[name], shape.patches))
        elif name.startswith("network.answer.") and not same_answers:
            continue
        elif name in given and given[name].shape == tensor.shape:
            tensor.copy_(given[name])
    if fresh.network.ranking is not None and old.ranking is None and "matching" in old.heads:
        fresh.network.ranking.weight.copy_(old.matching.weight[1:])
        fresh.network.ranking.bias.copy_(old.matching.bias[1:])
    fresh.image_encoder.source, fresh.image_encoder.licence = model.image_encoder.source, model.image_encoder.licence
    fresh.text_encoder.source, fresh.text_encoder.licence = model.text_encoder.source, model.text_encoder.licence
    return fresh
