"""What the parts share: readers by name, and the starter towers with their cached features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlcore.align.data import Towers
    from vlcore.data.record import Record

IMAGE_ENCODER = "starter/efficientnet_lite0"
TEXT_ENCODER = "starter/minilm_layers"


def read(name: str, path: Path, **options: Any) -> list[Record]:
    """Records of a registered reader."""
    from vlcore.plugins import registries

    reader: Callable[..., list[Record]] = registries().readers.get(name)
    return reader(path, **options)


def starter_towers(cache: str) -> Towers:
    """The starter towers, frozen."""
    from vlcore.align.data import Towers
    from vlcore.encoders import build_image_encoder, build_text_encoder

    return Towers(build_image_encoder(IMAGE_ENCODER), build_text_encoder(TEXT_ENCODER), Path(cache))
