"""From flat names to a dual encoder: towers by name, heads by name, a temperature that suits the objective."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from torch import nn

from vlcore.encoders import build_dual_encoder, build_image_encoder, build_text_encoder
from vlcore.encoders.base import Encoder
from vlcore.errors import ConfigurationError
from vlcore.heads.base import Head
from vlcore.heads.identity import IdentityHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.objectives.assignment_prediction import AssignmentPrediction
from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.mil_nce import MILNCE
from vlcore.objectives.siglip import SigLIP
from vlcore.plugins import registries
from vlcore.types import Trainable

ObjectiveName = Literal["info_nce", "siglip", "mil_nce", "assignment_prediction"]

# Starting temperature and bias: CLIP (arXiv 2103.00020, section 2.5) and SigLIP (arXiv 2303.15343, section 3.2).
_LOGIT_STARTS: dict[str, tuple[float, float | None]] = {
    "info_nce": (1 / 0.07, None),
    "siglip": (10.0, -10.0),
    "mil_nce": (1 / 0.07, None),
    "assignment_prediction": (100.0, None),  # VLAP's temperature, which does not learn
}


def build_objective(name: ObjectiveName, model: DualEncoder) -> nn.Module:
    """Make the loss of that name, for a model.

    Raises:
        ConfigurationError: if the objective needs words that the model does not have.
    """
    if name == "assignment_prediction":
        return _assignment_prediction(model)
    objectives: dict[str, type[nn.Module]] = {"info_nce": InfoNCE, "siglip": SigLIP, "mil_nce": MILNCE}
    return objectives[name]()


def build_model(
    image_encoder: str | None,
    text_encoder: str | None,
    dual_encoder: str | None,
    *,
    image_trainable: Trainable,
    text_trainable: Trainable,
    image_head: str | None,
    text_head: str | None,
    embedding_size: int,
    head_options: dict[str, Any],
    objective: ObjectiveName,
) -> DualEncoder:
    """Build towers and heads and put them together.

    Args:
        image_encoder: name of an image tower; with `text_encoder`.
        text_encoder: name of a text tower.
        dual_encoder: name of towers that come aligned, instead of the two.
        image_trainable: which part of the image tower learns.
        text_trainable: likewise of the text tower.
        image_head: name of a head; None is `residual_mlp` on single towers and no head on a dual encoder.
        text_head: likewise.
        embedding_size: D of the heads; without effect where there is no head.
        head_options: constructor arguments; each head takes those it knows.
        objective: decides the starting temperature and bias of single towers.

    Raises:
        ConfigurationError: if the names do not say which towers to build, or only one side of a dual encoder gets a
            head.
        UnknownNameError: if a name is unknown.
    """
    logit_scale, logit_bias = _LOGIT_STARTS[objective]
    if dual_encoder is not None:
        if image_encoder is not None or text_encoder is not None:
            raise ConfigurationError(
                f"dual_encoder={dual_encoder!r} brings both towers: leave image_encoder and text_encoder out, or give "
                f"only those two."
            )
        towers = build_dual_encoder(dual_encoder)
        image, text = towers.image, towers.text
        if image_head is None and text_head is None:
            logit_scale = towers.logit_scale
            logit_bias = logit_bias if towers.logit_bias is None or objective != "siglip" else towers.logit_bias
    elif image_encoder is not None and text_encoder is not None:
        image, text = build_image_encoder(image_encoder), build_text_encoder(text_encoder)
        image_head, text_head = image_head or "residual_mlp", text_head or "residual_mlp"
    else:
        raise ConfigurationError(
            f"image_encoder={image_encoder!r}, text_encoder={text_encoder!r}: give both, such as "
            f"'starter/efficientnet_lite0' and 'starter/minilm', or a dual_encoder."
        )
    image.set_trainable(image_trainable)
    text.set_trainable(text_trainable)
    if (image_head is None) != (text_head is None):
        raise ConfigurationError(
            f"image_head={image_head!r}, text_head={text_head!r}: a dual encoder gets a head on both sides or on none."
        )
    return DualEncoder(
        image,
        text,
        build_head(image_head or "identity", image.width, embedding_size, head_options | _token_width(image)),
        build_head(text_head or "identity", text.width, embedding_size, head_options | _token_width(text)),
        logit_scale=logit_scale,
        logit_bias=logit_bias,
    )


def _assignment_prediction(model: DualEncoder) -> AssignmentPrediction:
    tower = model.text_encoder
    table = getattr(getattr(tower, "network", None), "get_input_embeddings", None)
    words = None if table is None else table().weight
    if words is None or words.shape[1] != model.embedding_size or not isinstance(model.text_head, IdentityHead):
        found = "has no word embeddings" if words is None else f"has word embeddings of {words.shape[1]} numbers"
        raise ConfigurationError(
            f"objective='assignment_prediction' compares images with the words of the text tower: {tower.source} "
            f"{found} and the embedding has {model.embedding_size}. Choose text_head 'identity', a tower that pools to "
            f"its own width such as starter/minilm, and embedding_size as wide."
        )
    model.logit_scale.requires_grad_(False)
    return AssignmentPrediction(words)


def _token_width(tower: Encoder) -> dict[str, int]:
    """Width of the tokens that a `tokens/…` tower gives in one row."""
    width = getattr(tower, "token_width", None)
    return {} if width is None else {"token_width": width}


def build_head(name: str, in_features: int, out_features: int, options: dict[str, Any]) -> Head:
    """Build a head by its registered name; of the options it takes those that its constructor has.

    Raises:
        UnknownNameError: if no head has that name.
    """
    head_class = registries().heads.get(name)
    known = inspect.signature(head_class).parameters
    offered = {**options, "in_features": in_features, "out_features": out_features, "features": in_features}
    head: Head = head_class(**{key: value for key, value in offered.items() if key in known})
    return head
