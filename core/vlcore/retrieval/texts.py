"""Texts to vectors: each distinct text once, short ones together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.data.progress import track
from vlcore.encoders.batching import encode_texts
from vlcore.errors import ConfigurationError
from vlcore.retrieval.precision import half_precision, unit_rows

if TYPE_CHECKING:
    from vlcore.models.dual_encoder import DualEncoder

ROWS_AT_ONCE = 4096


class TextEmbedder:
    """Embeds texts with the text side of a dual encoder."""

    def __init__(self, network: DualEncoder, device: torch.device) -> None:
        self.network = network
        self.device = device
        self._warned = False

    def embed(self, texts: Sequence[str], progress: bool) -> NDArray[np.float32]:
        """`[N, D]` float32 of unit norm; warns once if a text is longer than the tower reads."""
        distinct, place = _distinct(texts)
        with track(len(distinct), "embedding texts", progress) as advance, half_precision(self.device):
            features = encode_texts(self.network.text_encoder, distinct, progress=advance)
        if features.truncated and not self._warned:
            self._warned = True
            warnings.warn(
                f"{features.truncated} of {len(distinct)} texts are longer than the "
                f"{self.network.text_encoder.context_length} tokens that the text tower reads; what stands behind has "
                f"no effect.",
                stacklevel=3,
            )
        vectors: NDArray[np.float32] = self._project(features.rows)[place]
        return vectors

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many texts are cut at the context length."""
        count = 0
        for start in range(0, len(texts), ROWS_AT_ONCE):
            part = texts[start : start + ROWS_AT_ONCE]
            count += int(self.network.text_encoder.tokenizer(part).truncated.sum())
        return count

    @torch.inference_mode()
    def _project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty((len(features), self.network.embedding_size), dtype=np.float32)
        for start in range(0, len(features), ROWS_AT_ONCE):
            part = torch.from_numpy(features[start : start + ROWS_AT_ONCE]).to(self.device)
            out[start : start + len(part)] = unit_rows(self.network.project_texts(part))
        return out


def _distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct texts in order of appearance, and for each text its place among them."""
    if isinstance(texts, str):
        raise ConfigurationError(f"embed_texts takes a list of texts; write embed_texts([{texts!r}]).")
    number: dict[str, int] = {}
    place = [number.setdefault(text, len(number)) for text in texts]
    return list(number), np.array(place, dtype=np.int64)
