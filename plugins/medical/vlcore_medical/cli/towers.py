"""What the training commands share: frozen towers with their cache, and the command as it was typed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlcore.align.data import Towers


def build_towers(image_encoder: str, text_encoder: str, cache: Path | None, device: str | None) -> Towers:
    """Frozen towers by name, with the folder of their features."""
    import torch

    from vlcore.align.data import Towers
    from vlcore.data.feature_store import default_cache_root
    from vlcore.encoders import build_image_encoder, build_text_encoder
    from vlcore.retrieval.precision import best_device

    chosen = best_device() if device is None else torch.device(device)
    image, text = build_image_encoder(image_encoder), build_text_encoder(text_encoder)
    return Towers(image.to(chosen).eval(), text.to(chosen).eval(), cache or default_cache_root())


def command_line() -> str:
    """The command, to run it again; it stands in the model card."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
