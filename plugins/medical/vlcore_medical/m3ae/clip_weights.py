"""Weights of a CLIP of transformers in M3AE's image tower."""

from __future__ import annotations

import re

import torch

from vlcore.encoders.source_folder import source_folder
from vlcore.encoders.transformers_model import load_pretrained, read_config
from vlcore.errors import ConfigurationError
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.positions import resize_positions

_NAMES = {
    "embeddings.class_embedding": "whole",
    "embeddings.position_embedding.weight": "position",
    "embeddings.patch_embedding.weight": "patch_embedding.weight",
    **{f"pre_layrnorm.{part}": f"input_norm.{part}" for part in ("weight", "bias")},
    **{f"post_layernorm.{part}": f"output_norm.{part}" for part in ("weight", "bias")},
}
_LAYER = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.out_proj": "attention.output",
    "layer_norm1": "attention_norm",
    "layer_norm2": "output_norm",
    "mlp.fc1": "expand",
    "mlp.fc2": "contract",
}


@torch.no_grad()
def load_clip_weights(tower: ClipImageEncoder, name: str) -> None:
    """Fill an image tower with that of a CLIP; positions are interpolated, layers behind the tower's last left out.

    Args:
        tower: of CLIP's width and patch, with no more layers.
        name: folder or hub id, such as `openai/clip-vit-base-patch16`.

    Raises:
        ConfigurationError: if it is no CLIP, or of other sizes.
    """
    import transformers

    folder = source_folder(name, "transformers")
    config = read_config(folder)
    if config.model_type != "clip" or config.vision_config.hidden_act != "quick_gelu":
        raise ConfigurationError(
            f"image_weights={name!r} is a {config.model_type}; M3AE's image tower is that of a clip with quick_gelu."
        )
    network = load_pretrained(folder, transformers.CLIPModel, config).get_submodule("vision_model")
    given = {_translated(key): value for key, value in network.state_dict().items()}
    own = tower.state_dict()
    given["position"] = resize_positions(given["position"], tower.tokens - 1)
    if wrong := [key for key, tensor in own.items() if key not in given or given[key].shape != tensor.shape]:
        raise ConfigurationError(
            f"image_weights={name!r} does not fit the image tower {tower.config()}: {wrong[0]} should be "
            f"{list(own[wrong[0]].shape)}, found {list(given[wrong[0]].shape) if wrong[0] in given else 'nothing'}."
        )
    tower.load_state_dict({key: given[key] for key in own})
    tower.source = f"transformers/{name}"


def _translated(key: str) -> str:
    """Name of a tensor of CLIP's image side in the image tower; others keep theirs, which no tower asks for."""
    if found := re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key):
        return f"layers.{found[1]}.{_LAYER[found[2]]}.{found[3]}"
    return _NAMES.get(key, key)
