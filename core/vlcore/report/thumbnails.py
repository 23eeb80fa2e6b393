"""Small JPEGs inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from vlcore.report.data import FetchImage

SIDE = 224
"""Pixels of a thumbnail's long side: sharp at 150 CSS pixels on ordinary screens."""


class Thumbnails:
    """Data URIs by record id; each image is fetched once.

    Args:
        fetch: from an id to an image.
    """

    def __init__(self, fetch: FetchImage | None) -> None:
        self._fetch = fetch
        self._made: dict[str, str | None] = {}

    def __call__(self, identifier: str) -> str | None:
        """`data:image/jpeg;base64,…`, or None where the image cannot be shown."""
        if identifier not in self._made:
            self._made[identifier] = self._make(identifier)
        return self._made[identifier]

    def _make(self, identifier: str) -> str | None:
        if self._fetch is None:
            return None
        try:
            image = self._fetch(identifier)
            return None if image is None else jpeg_uri(image)
        except Exception:
            # A page about results must not fail for one picture: it shows the id and says so instead.
            return None


def jpeg_uri(image: Image.Image | np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> str:
    """Scale down to `SIDE` and encode."""
    small = (image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))).convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return data_uri(_encoded(small), "image/jpeg")


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a URL that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()
