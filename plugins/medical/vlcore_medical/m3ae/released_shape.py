"""Sizes and heads of a released checkpoint, told by its tensors."""

from __future__ import annotations

import math
import re

from torch import Tensor

from vlcore.errors import ModelDirectoryError
from vlcore_medical.m3ae.network import HeadName
from vlcore_medical.m3ae.released_checkpoint import ReleasedCheckpoint
from vlcore_medical.m3ae.shape import M3AEShape

PADDING = 2
"""Positions that RoBERTa leaves unused: it counts from behind its padding index 1."""

_HEAD_WIDTH = 64
"""Of CLIP's, RoBERTa's and the pixel decoder's attention alike."""

_HEADS: dict[str, HeadName] = {
    "mlm_head.bias": "masked_language",
    "mim_head.mask_token": "masked_image",
    "itm_head.fc.weight": "matching",
    "irtr_head.weight": "ranking",
    "vqa_head.3.weight": "answers",
    "cls_head.3.weight": "answers",
}


def released_shape(checkpoint: ReleasedCheckpoint, image_size: int | None = None) -> M3AEShape:
    """Sizes of the M3AE that a checkpoint holds.

    Args:
        checkpoint: as it was read.
        image_size: pixels of a side, in place of its own.

    Raises:
        ModelDirectoryError: if a tensor that tells a size is not there, or the image tower is another one.
    """
    state, settings = checkpoint.state, checkpoint.settings
    if "vision_encoder.visual.conv1.weight" not in state:
        raise ModelDirectoryError(
            f"{checkpoint.path} has no 'vision_encoder.visual.conv1.weight', so its image tower is not CLIP's. M3AE's "
            f"Swin variant is not supported: take a clip16 checkpoint."
        )
    width, _, patch, _ = state["vision_encoder.visual.conv1.weight"].shape
    if width % _HEAD_WIDTH or settings.get("num_heads", width // _HEAD_WIDTH) != width // _HEAD_WIDTH:
        raise ModelDirectoryError(
            f"{checkpoint.path}: width {width} with num_heads={settings.get('num_heads')}; released models have heads "
            f"of {_HEAD_WIDTH} numbers."
        )
    own_size = patch * math.isqrt(len(_tensor(checkpoint, "vision_encoder.visual.positional_embedding")) - 1)
    fusion_layers = _count(checkpoint, "multi_modal_language_layers")
    decoder = state.get("mim_head.decoder_embed.weight")
    decoder_width = 4 * _HEAD_WIDTH if decoder is None else decoder.shape[0]
    return M3AEShape(
        vocabulary=len(_tensor(checkpoint, "language_encoder.embeddings.word_embeddings.weight")),
        image_size=own_size if image_size is None else image_size,
        patch=patch,
        width=width,
        heads=width // _HEAD_WIDTH,
        intermediate=len(_tensor(checkpoint, "multi_modal_language_layers.0.intermediate.dense.weight")),
        image_layers=_count(checkpoint, "vision_encoder.visual.transformer.resblocks"),
        text_layers=_count(checkpoint, "language_encoder.encoder.layer"),
        fusion_layers=fusion_layers,
        pixel_layer=int(settings.get("mim_layer", max(1, fusion_layers // 2))),
        decoder_width=decoder_width,
        decoder_layers=0 if decoder is None else _count(checkpoint, "mim_head.decoder.resblocks"),
        decoder_heads=decoder_width // _HEAD_WIDTH,
        positions=len(_tensor(checkpoint, "language_encoder.embeddings.position_embeddings.weight")) - PADDING,
    )


def released_heads(checkpoint: ReleasedCheckpoint) -> tuple[tuple[HeadName, ...], int]:
    """Heads of a checkpoint, and the number of answers that the one for answers chooses among, or 0."""
    state = checkpoint.state
    found = [name for key, name in _HEADS.items() if key in state]
    if found.count("answers") > 1:
        raise ModelDirectoryError(f"{checkpoint.path} has both vqa_head and cls_head: remove the one you do not need.")
    answers = [
        len(checkpoint.state[key]) for key, name in _HEADS.items() if name == "answers" and key in checkpoint.state
    ]
    return tuple(found), sum(answers)


def _tensor(checkpoint: ReleasedCheckpoint, name: str) -> Tensor:
    if name not in checkpoint.state:
        raise ModelDirectoryError(f"{checkpoint.path} has no {name!r}, so it is no M3AE, or was cut down.")
    return checkpoint.state[name]


def _count(checkpoint: ReleasedCheckpoint, prefix: str) -> int:
    found = {int(match[1]) for key in checkpoint.state if (match := re.match(rf"{re.escape(prefix)}\.(\d+)\.", key))}
    if not found or found != set(range(len(found))):
        raise ModelDirectoryError(f"{checkpoint.path}: layers {prefix}.N are {sorted(found)}, not 0, 1, 2 and so on.")
    return len(found)
