"""Asking a trained model about one image."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vlcore.data.transform import apply_preprocess
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import LoadedModel, load_model_directory
from vlcore.models.headed_towers import HeadedTowers
from vlcore.retrieval.images import ImageLike, as_pixels
from vlcore.retrieval.precision import best_device
from vlcore.types import PairBatch
from vlcore_medical.heads.answer import AnswerHead
from vlcore_medical.m3ae.model import M3AEModel


class Answer(NamedTuple):
    """An answer that the model knows, with its probability among all of them.

    A model that was trained with one yes or no for every answer gives probabilities that need not add up to 1.
    """

    answer: str
    probability: float


class Answerer:
    """A model that answers questions about images: a head on frozen towers, or a fine-tuned M3AE.

    Args:
        loaded: its model directory.
        device: chosen if left out.

    Raises:
        ConfigurationError: if the model does not answer questions.

    Example:
        >>> answerer = Answerer.load("answers.model")  # doctest: +SKIP
        >>> answerer.ask("chest.png", "is the heart enlarged?")[0].answer  # doctest: +SKIP
        'yes'
    """

    def __init__(self, loaded: LoadedModel, device: str | torch.device | None = None) -> None:
        self.card = loaded.card
        self.path = loaded.path
        self.device = best_device() if device is None else torch.device(device)
        model = loaded.model
        if isinstance(model, HeadedTowers) and isinstance(model.head, AnswerHead):
            self.vocabulary = model.head.vocabulary
        elif isinstance(model, M3AEModel) and model.network.answers:
            self.vocabulary = list(model.network.answers)
        else:
            raise ConfigurationError(
                f"{loaded.path} does not answer questions. Train one that does: vlcore medical fit-answers, or "
                f"M3AEAnswerTask for an M3AE."
            )
        self.model = model.to(self.device)

    @classmethod
    def load(cls, path: Path | str, device: str | torch.device | None = None) -> Answerer:
        """Load a model directory.

        Raises:
            ModelDirectoryError: if a part is missing or changed.
            ConfigurationError: if the model does not answer questions.
        """
        return cls(load_model_directory(path), device)

    @torch.inference_mode()
    def ask(self, image: ImageLike, question: str, k: int = 3) -> list[Answer]:
        """The k most probable answers, the best first.

        Args:
            image: path, PIL image or array; for a DICOM file what `vlcore_medical.dicom.picture.read_picture` gives.
            question: in words.
            k: how many.

        Raises:
            ConfigurationError: if the question has no words, or k is not positive.
            ImageDecodeError: if the image cannot be read.
        """
        if not question.strip():
            raise ConfigurationError("The question has no words.")
        if k < 1:
            raise ConfigurationError(f"k={k}: choose at least 1.")
        probability = self._probability(image, " ".join(question.split()))
        best = probability.topk(min(k, len(probability)))
        return [
            Answer(self.vocabulary[place], value)
            for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def _probability(self, image: ImageLike, question: str) -> Tensor:
        """Of every answer, `[A]`."""
        encoder = self.model.image_encoder
        assert encoder is not None and self.model.text_encoder is not None
        pixels = apply_preprocess(as_pixels(image, "the image"), encoder.preprocess)[None].to(self.device)
        words = self.model.text_encoder.tokenizer([question])
        ids, mask = words.input_ids.to(self.device), words.attention_mask.to(self.device)
        if isinstance(self.model, M3AEModel):
            key = torch.zeros(1, dtype=torch.int64, device=self.device)
            batch = PairBatch(key, key, images=pixels, input_ids=ids, attention_mask=mask)
            logits = self.model.answer(batch)[0].float()
            return logits.sigmoid() if self.card.training.get("loss") == "binary" else logits.softmax(dim=0)
        assert isinstance(self.model, HeadedTowers) and self.model.text_encoder is not None
        logits = self.model.head(encoder(pixels).pooled.float(), self.model.text_encoder.pool(ids, mask).float())
        probability: Tensor = logits[0].softmax(dim=0)
        return probability
