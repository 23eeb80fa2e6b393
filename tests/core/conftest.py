"""A model that sees mean colours and reads colour words: small, exact, and made of nothing that can drift."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlcore.retrieval.zero_shot import ZeroShotResult, label_embeddings, label_probabilities
from vlcore.types import ImagePreprocess

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 60),
    "blue": (40, 60, 220),
    "yellow": (230, 210, 40),
    "purple": (140, 50, 160),
    "white": (245, 245, 245),
}


class ColourModel:
    """Stands in for `vlcore.retrieval.model.Model`; embeds 3 numbers into 8."""

    def __init__(self, fingerprint="f" * 64):
        self.fingerprint = fingerprint
        self.embedding_size = 8
        self.preprocess = ImagePreprocess(size=(16, 16), resize_to=16)
        self.card = self.path = None
        self.device = torch.device("cpu")
        self.logit_scale = 50.0
        self.network = SimpleNamespace(text_encoder=SimpleNamespace(context_length=8))
        self.images_seen = 0
        self.stop_after = None

    def embed_pixels(self, images):
        if self.stop_after is not None and self.images_seen + len(images) > self.stop_after:
            raise KeyboardInterrupt
        self.images_seen += len(images)
        return self._project(images.float().mean(dim=(2, 3)).numpy() / 255)

    def embed_texts(self, texts, progress=False):
        colours = []
        for text in texts:
            named = [COLOURS[word] for word in COLOURS if word in text]
            colours.append(np.mean(named, axis=0) if named else (1, 1, 1))
        return self._project(np.array(colours, dtype=np.float32).reshape(-1, 3) / 255)

    def embed_images(self, images, **options):
        from vlcore.retrieval.images import image_batches

        parts = [self.embed_pixels(b) for b in image_batches(images, self.preprocess, 4, False, "raise", None)]
        return np.concatenate(parts)

    def count_truncated(self, texts):
        return sum(len(text.split()) > 8 for text in texts)

    def zero_shot(self, images, labels, prompts="plain"):
        vectors = label_embeddings(self, labels, prompts)
        return ZeroShotResult(list(labels), label_probabilities(self.embed_images(images), vectors, self.logit_scale))

    def _project(self, colour):
        basis = np.random.default_rng(0).normal(size=(4, 8))
        rows = np.concatenate([colour - 0.5, np.full((len(colour), 1), 0.1)], axis=1) @ basis
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def colour_model():
    return ColourModel()


@pytest.fixture
def other_model():
    return ColourModel("e" * 64)
