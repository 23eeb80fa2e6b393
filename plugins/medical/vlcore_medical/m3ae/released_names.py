"""Names of the released checkpoints in vlcore's terms."""

from __future__ import annotations

import re
from typing import NamedTuple

_CLIP_LAYER = {
    "ln_1": "attention_norm",
    "ln_2": "output_norm",
    "attn.out_proj": "attention.output",
    "mlp.c_fc": "expand",
    "mlp.c_proj": "contract",
}
_BERT_LAYER = {
    **{f"attention.self.{part}": f"attention.{part}" for part in ("query", "key", "value")},
    **{f"crossattention.self.{part}": f"memory_attention.{part}" for part in ("query", "key", "value")},
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "crossattention.output.dense": "memory_attention.output",
    "crossattention.output.LayerNorm": "memory_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "output_norm",
}
_MODULES = {
    "vision_encoder.visual.conv1": "image_encoder.patch_embedding",
    "vision_encoder.visual.ln_pre": "image_encoder.input_norm",
    "vision_encoder.visual.ln_post": "image_encoder.output_norm",
    "language_encoder.embeddings.word_embeddings": "network.stream.text_embedding.word",
    "language_encoder.embeddings.position_embeddings": "network.stream.text_embedding.position",
    "language_encoder.embeddings.LayerNorm": "network.stream.text_embedding.norm",
    "multi_modal_language_proj": "network.stream.text_projection",
    "multi_modal_vision_proj": "network.stream.image_projection",
    "modality_type_embeddings": "network.stream.kind",
    "multi_modal_language_pooler.dense": "network.stream.text_pooler",
    "multi_modal_vision_pooler.dense": "network.stream.image_pooler",
    "mlm_head.transform.dense": "network.masked_language.transform",
    "mlm_head.transform.LayerNorm": "network.masked_language.norm",
    "mlm_head.decoder": "network.words",
    "mim_head.decoder_embed": "network.masked_image.embedding",
    "mim_head.decoder_norm": "network.masked_image.norm",
    "mim_head.decoder_pred": "network.masked_image.pixels",
    "itm_head.fc": "network.matching",
    "irtr_head": "network.ranking",
    **{f"{head}.{part}": f"network.answer.{part}" for head in ("vqa_head", "cls_head") for part in (0, 1, 3)},
}
_TENSORS = {
    "vision_encoder.visual.class_embedding": "image_encoder.whole",
    "vision_encoder.visual.positional_embedding": "image_encoder.position",
    "language_encoder.embeddings.token_type_embeddings.weight": "network.stream.text_embedding.kind",
    "mlm_head.bias": "network.masked_language.bias",
    "mim_head.mask_token": "network.masked_image.masked",
    "mim_head.decoder_pos_embed": "network.masked_image.position",
}
_LAYERS = (
    (r"vision_encoder\.visual\.transformer\.resblocks\.(\d+)\.(.+)", "image_encoder.layers", _CLIP_LAYER),
    (r"mim_head\.decoder\.resblocks\.(\d+)\.(.+)", "network.masked_image.layers", _CLIP_LAYER),
    (r"language_encoder\.encoder\.layer\.(\d+)\.(.+)", "network.stream.text_tower", _BERT_LAYER),
    (r"multi_modal_language_layers\.(\d+)\.(.+)", "network.stream.text_fusion", _BERT_LAYER),
    (r"multi_modal_vision_layers\.(\d+)\.(.+)", "network.stream.image_fusion", _BERT_LAYER),
)
_CLIP_TEXT = r"vision_encoder\.(token_embedding\.|positional_embedding$|ln_final\.|text_projection$|logit_scale$)"
_DROPPED = {
    _CLIP_TEXT: "CLIP's text side, which M3AE never reads",
    r"language_encoder\.embeddings\.position_ids": "a count from 0, which transformers stored before 4.31",
    r"language_encoder\.pooler\.dense\.": "RoBERTa's own pooler, which M3AE never reads",
}


class Place(NamedTuple):
    """Where a released tensor belongs.

    Attributes:
        names: of vlcore's; several take equal parts of it, along its first dimension.
        reason: why it is left out, where it has no place.
    """

    names: tuple[str, ...]
    reason: str = ""


def place_of(name: str) -> Place | None:
    """The place of a released name; None if the name is not known."""
    for pattern, reason in _DROPPED.items():
        if re.match(pattern, name):
            return Place((), reason)
    if name in _TENSORS:
        return Place((_TENSORS[name],))
    for pattern, layers, parts in _LAYERS:
        if found := re.fullmatch(pattern, name):
            return _in_layer(f"{layers}.{found[1]}", found[2], parts)
    module, _, tensor = name.rpartition(".")
    return Place((f"{_MODULES[module]}.{tensor}",)) if module in _MODULES else None


def _in_layer(layer: str, name: str, parts: dict[str, str]) -> Place | None:
    if parts is _CLIP_LAYER and (joint := re.fullmatch(r"attn\.in_proj_(weight|bias)", name)):
        return Place(tuple(f"{layer}.attention.{part}.{joint[1]}" for part in ("query", "key", "value")))
    module, _, tensor = name.rpartition(".")
    return Place((f"{layer}.{parts[module]}.{tensor}",)) if module in parts else None
