"""From flat names to a fusion model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from vlcore.encoders import build_text_encoder
from vlcore.encoders.token_encoder import build_image as build_tokens
from vlcore.encoders.vocabulary import Vocabulary
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import load_model_directory
from vlcore.models.fusion.model import FusionModel
from vlcore.models.fusion.network import Architecture, FusionNetwork
from vlcore.models.fusion.shape import SIZES, FusionShape, SizeName
from vlcore.models.fusion.text_weights import load_text_weights, shape_of
from vlcore.objectives.text_masking import SpanMasking, TextMasking, TokenMasking, WholeWordMasking
from vlcore.types import Trainable

Size = Literal["pretrained"] | SizeName
TextMaskName = Literal["token", "whole_word", "span"]


def build_fusion_model(
    architecture: Architecture,
    image_encoder: str | None,
    text_encoder: str,
    *,
    size: Size = "pretrained",
    layers: int | None = None,
    dropout: float | None = None,
    image_trainable: Trainable = "none",
    region_width: int | None = None,
    region_classes: int | None = None,
    embedding_size: int | None = None,
) -> FusionModel:
    """Build an image tower and a fusion network.

    Args:
        architecture: how layers are put together.
        image_encoder: name of an image tower with tokens; None for precomputed regions.
        text_encoder: name of a text tower of BERT's family: its tokeniser, and for `pretrained` its weights.
        size: `pretrained` takes sizes and weights of the text tower; the others have random weights.
        layers: in place of the size's own number; of a pretrained tower the first ones.
        dropout: in place of the text tower's own, or of 0.1.
        image_trainable: which part of the image tower learns.
        region_width: W of precomputed regions.
        region_classes: K of the masked regions' classes; None where they are not guessed.
        embedding_size: of the space of texts and images alone; None where they are not aligned.

    Raises:
        ConfigurationError: if the names do not fit together.
        UnknownNameError: if a name is unknown.
    """
    if (image_encoder is None) == (region_width is None):
        raise ConfigurationError(
            f"image_encoder={image_encoder!r}, region_width={region_width!r}: give one of them, an image tower such as "
            f"'starter/efficientnet_lite0', or the width of precomputed regions such as 2048."
        )
    tower = None if image_encoder is None else build_tokens(image_encoder, image_trainable)
    in_features = region_width if tower is None else tower.token_width
    assert in_features is not None
    text = build_text_encoder(text_encoder)
    if size == "pretrained":
        shape = shape_of(text, layers, dropout)
    else:
        sizes = {**SIZES[size], **({} if layers is None else {"layers": layers})}
        rows = text.tokenizer.largest_id + 1
        positions = text.tokenizer.context_length
        shape = FusionShape(rows, positions=positions, dropout=0.1 if dropout is None else dropout, **sizes)
    network = FusionNetwork(architecture, in_features, shape, embedding_size, region_classes)
    if size == "pretrained":
        load_text_weights(network.stream, text)
    model = FusionModel(tower, text.tokenizer, network)
    model.text_encoder.source, model.text_encoder.licence = text.source, text.licence
    return model


def load_fusion_model(
    path: str, objectives: Iterable[str], region_classes: int | None, image_trainable: Trainable
) -> FusionModel:
    """Take the model of an earlier run.

    Args:
        path: its model directory.
        objectives: that it is to be trained with now.
        region_classes: classes that these guess, or None.
        image_trainable: which part of its image tower learns now.

    Raises:
        ConfigurationError: if it is no fusion model, or lacks a head that an objective needs.
        ModelDirectoryError: if a part is missing or changed.
    """
    model = load_model_directory(path).model
    if not isinstance(model, FusionModel):
        raise ConfigurationError(f"start_from={path!r} holds a {type(model).__name__} and no fusion model.")
    network = model.network
    if "contrastive" in objectives and network.embedding_size is None:
        raise ConfigurationError(f"start_from={path!r} was trained without contrastive, so its sides are not aligned.")
    found = None if network.region_classes is None else network.region_classes.classes.out_features
    if region_classes is not None and found != region_classes:
        raise ConfigurationError(
            f"start_from={path!r} guesses {found} classes of regions, and {region_classes} are asked for."
        )
    if model.image_encoder is not None:
        model.image_encoder.set_trainable(image_trainable)
    return model


def build_text_masking(name: TextMaskName, model: FusionModel, source: str) -> TextMasking:
    """Build what hides words.

    Args:
        name: single pieces, whole words, or a span.
        model: whose vocabulary it is.
        source: of the tokeniser, for messages.

    Raises:
        ConfigurationError: if the vocabulary has no mask token, or does not mark the words that are to be hidden.
    """
    vocabulary = Vocabulary.of(model.tokenizer, source)
    rows = model.network.stream.shape.vocabulary
    common = (rows, vocabulary.mask_id, tuple(sorted({*vocabulary.special_ids, *range(vocabulary.size, rows)})))
    if name == "token":
        return TokenMasking(*common)
    if name == "span":
        return SpanMasking(*common)
    if vocabulary.begins_word is None:
        raise ConfigurationError(
            f"text_masking='whole_word': the vocabulary of {source} does not mark where words begin. Choose 'token' or "
            f"'span', or another text tower."
        )
    begins = (*vocabulary.begins_word, *(True for _ in range(rows - vocabulary.size)))
    return WholeWordMasking(*common, begins_word=begins)
