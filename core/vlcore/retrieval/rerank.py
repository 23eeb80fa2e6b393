"""Two-stage search: embeddings find the first hits fast, a fusion model that sees both sides puts them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.models.fusion.model import FusionModel
from vlcore.models.fusion.stream import States
from vlcore.objectives.image_text_matching import match_score
from vlcore.retrieval.images import ImageLike, image_batches
from vlcore.retrieval.precision import best_device, half_precision

if TYPE_CHECKING:
    from vlcore.retrieval.hit import Hit

PAIRS_AT_ONCE = 256
RERANKED = 16
"""Hits of the first stage that are put in order unless told otherwise."""

RERANK_WEIGHT = 0.02
"""Of a match's log-odds beside the cosine, unless told otherwise: ten of them weigh as much as a cosine of 0.2."""


@dataclass(frozen=True)
class ReadImages:
    """Images as a fusion model reads them alone, on the CPU.

    Attributes:
        tokens: `[N, 1 + R, D]`.
        mask: `[N, 1 + R]` bool.
    """

    tokens: Tensor
    mask: Tensor


class Reranker:
    """Tells how well images and texts match, pair by pair; made by `Reranker.load`.

    Args:
        model: a fusion model with an image tower.
        fingerprint: of its directory.
        device: where to run; chosen if left out.

    Raises:
        ConfigurationError: if the model reads precomputed regions.
    """

    def __init__(self, model: FusionModel, fingerprint: str, device: str | torch.device | None = None) -> None:
        if model.image_encoder is None:
            raise ConfigurationError(
                "The fusion model reads precomputed regions, which a search has not: train one with an image_encoder."
            )
        self.device = best_device() if device is None else torch.device(device)
        self.model = model.to(self.device).eval()
        self.tower = model.image_encoder
        self.fingerprint = fingerprint

    @classmethod
    def load(cls, path: Path | str, device: str | torch.device | None = None) -> Reranker:
        """Load a model directory that `vlcore fit` wrote for a FusionTask.

        Raises:
            ModelDirectoryError: if a part is missing or changed.
            ConfigurationError: if it holds another kind of model.
        """
        from vlcore.hub.model_directory import load_model_directory

        loaded = load_model_directory(path)
        if not isinstance(loaded.model, FusionModel):
            raise ConfigurationError(
                f"{path} holds a {type(loaded.model).__name__}, which embeds images and texts apart. Re-ranking needs "
                f"a fusion model: vlcore fit -c configs/pretraining/albef_tiny.yaml trains one."
            )
        return cls(loaded.model, loaded.fingerprint, device)

    @torch.inference_mode()
    def read_images(self, images: Sequence[ImageLike], batch_size: int = 32, progress: bool = False) -> ReadImages:
        """Read images once, for any number of texts.

        Raises:
            ImageDecodeError: if an image cannot be decoded.
        """
        parts = []
        for pixels in image_batches(images, self.tower.preprocess, batch_size, progress, "raise", None):
            with half_precision(self.device):
                visual = self.model.encode_images(pixels.to(self.device))
                states = self.model.network.stream.read_image(visual)
            parts.append((states.tokens.float().cpu(), states.mask.cpu()))
        tokens, masks = zip(*parts, strict=True)
        return ReadImages(torch.cat(tokens), torch.cat(masks))

    @torch.inference_mode()
    def scores(
        self, texts: Sequence[str], images: ReadImages, text_index: NDArray[np.int64], image_index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Log-odds `[P]` that the images and texts of P pairs match.

        Args:
            texts: M texts.
            images: N images.
            text_index: `[P]` text of each pair.
            image_index: `[P]` image of each pair.
        """
        states = self._read_texts(texts)
        lengths = states.mask.sum(dim=1).numpy()
        # Texts of like length together: little padding is computed.
        order = np.argsort(lengths[text_index], kind="stable")
        found = np.empty(len(order), dtype=np.float32)
        for start in range(0, len(order), PAIRS_AT_ONCE):
            part = order[start : start + PAIRS_AT_ONCE]
            rows = torch.from_numpy(text_index[part])
            longest = int(lengths[text_index[part]].max())
            text = States(states.tokens[rows, :longest], states.mask[rows, :longest])
            columns = torch.from_numpy(image_index[part])
            image = States(images.tokens[columns], images.mask[columns])
            with half_precision(self.device):
                logits = self.model.network.match(self._here(text), self._here(image))
            found[part] = match_score(logits.float()).cpu().numpy()
        return found

    def reorder(self, query: str, hits: Sequence[Hit], keep: int, weight: float = RERANK_WEIGHT) -> list[Hit]:
        """Put the hits of a search by words in the order of the matching head, and keep the first ones.

        Args:
            query: the words.
            hits: of the first stage.
            keep: how many to return.
            weight: see `blend`.
        """
        if not hits:
            return []
        images = self.read_images([hit.image for hit in hits])
        rows = np.arange(len(hits))
        match = self.scores([query], images, np.zeros(len(hits), dtype=np.int64), rows)
        blended = blend(np.array([hit.score for hit in hits], dtype=np.float32), match, weight)
        order = np.argsort(-blended, kind="stable")[:keep]
        return [replace(hits[place], score=float(blended[place])) for place in order]

    def _read_texts(self, texts: Sequence[str]) -> States:
        """Texts read alone, padded to the longest of all."""
        parts = []
        for start in range(0, len(texts), PAIRS_AT_ONCE):
            tokens = self.model.tokenizer(texts[start : start + PAIRS_AT_ONCE])
            with half_precision(self.device):
                states = self.model.network.stream.read_text(
                    tokens.input_ids.to(self.device), tokens.attention_mask.to(self.device)
                )
            parts.append(States(states.tokens.float().cpu(), states.mask.cpu()))
        longest = max(part.mask.shape[1] for part in parts)
        padded = [
            (
                torch.nn.functional.pad(part.tokens, (0, 0, 0, longest - part.mask.shape[1])),
                torch.nn.functional.pad(part.mask, (0, longest - part.mask.shape[1])),
            )
            for part in parts
        ]
        return States(torch.cat([tokens for tokens, _ in padded]), torch.cat([mask for _, mask in padded]))

    def _here(self, states: States) -> States:
        return States(states.tokens.to(self.device), states.mask.to(self.device))


def blend(cosine: NDArray[np.float32], match: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Scores of the second stage: cosine + `weight` x log-odds of a match.

    ALBEF (arXiv 2107.07651) orders by the match alone, which is a large weight; BLIP adds the contrastive score.

    Args:
        cosine: `[…]` of the first stage.
        match: `[…]` log-odds.
        weight: chosen on validation data.
    """
    return (cosine + weight * match).astype(np.float32)
