"""M3AE without its image tower: text tower, fusion, and the heads of its objectives and tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.heads.masked_language import MaskedLanguageHead
from vlcore.models.fusion.network import FusionNetwork
from vlcore.models.fusion.stream import States, initialise
from vlcore_medical.m3ae.pixel_decoder import PixelDecoder
from vlcore_medical.m3ae.shape import M3AEShape
from vlcore_medical.m3ae.stream import CoAttentionStream

HeadName = Literal["masked_language", "masked_image", "matching", "ranking", "answers"]
PRETRAINING: tuple[HeadName, ...] = ("masked_language", "masked_image", "matching")


class M3AENetwork(FusionNetwork):
    """Everything of an M3AE that learns besides the image tower (arXiv 2209.07098, section 3).

    Args:
        shape: sizes.
        heads: those that are there.
        answers: that the head `answers` chooses among: answers to questions, or names of classes.

    Attributes:
        stream: reads texts and fuses.
        masked_language: guesses words; its decoder is not tied to the word embeddings.
        words: that decoder's weights.
        masked_image: guesses pixels.
        matching: from a pair's vector `[B, 2 D]` to the logits of no and yes.
        ranking: to one score, for retrieval.
        answer: to the logits of the answers.

    Raises:
        ConfigurationError: if there is a head for answers without answers, or the other way round.
    """

    stream: CoAttentionStream

    def __init__(self, shape: M3AEShape, heads: Sequence[HeadName], answers: Sequence[str] | None = None) -> None:
        # FusionNetwork's own constructor would build one of the core's streams.
        nn.Module.__init__(self)
        if ("answers" in heads) != bool(answers):
            raise ConfigurationError(
                f"heads={list(heads)} with {len(answers or ())} answers: the head 'answers' and its list of answers "
                f"belong together."
            )
        self.m3ae_shape = shape
        self.heads = tuple(heads)
        self.answers = None if answers is None else tuple(answers)
        self.embedding_size = None
        self.stream = CoAttentionStream(shape)
        width, pair = shape.width, 2 * shape.width
        has_words = "masked_language" in heads
        self.words = nn.Linear(width, shape.vocabulary, bias=False) if has_words else None
        if has_words:
            self.masked_language = MaskedLanguageHead(width, shape.vocabulary, shape.fusion_norm_epsilon)
        self.masked_image = PixelDecoder(shape) if "masked_image" in heads else None
        if "matching" in heads:
            self.matching = nn.Linear(pair, 2)
        self.ranking = nn.Linear(pair, 1) if "ranking" in heads else None
        self.answer = None
        if answers:
            self.answer = nn.Sequential(
                nn.Linear(pair, pair), nn.LayerNorm(pair), nn.GELU(), nn.Linear(pair, len(answers))
            )
        initialise(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> M3AENetwork:
        """Build it with untrained weights from what `config()` returned."""
        return cls(M3AEShape(**config["shape"]), config["heads"], config["answers"])

    def config(self) -> dict[str, Any]:
        """Constructor arguments, plain values; `shape` as a mapping."""
        answers = None if self.answers is None else list(self.answers)
        return {"shape": self.m3ae_shape.to_dict(), "heads": list(self.heads), "answers": answers}

    def match(self, text: States, image: States) -> Tensor:
        """Logits `[B, 2]` of no and yes; where there is a head for ranking, yes has its score and no has 0."""
        self.require("ranking" if self.ranking is not None else "matching")
        pair = self.stream.fuse(text, image).pair
        if self.ranking is None:
            logits: Tensor = self.matching(pair)
            return logits
        score = self.ranking(pair)
        return torch.cat([torch.zeros_like(score), score], dim=-1)

    def guess_words(self, states: Tensor) -> Tensor:
        """Logits `[N, V]` of words' states `[N, D]`."""
        self.require("masked_language")
        assert self.words is not None
        logits: Tensor = self.masked_language(states, self.words.weight)
        return logits

    def guess_pixels(self, text: States, image: States, kept: Tensor) -> Tensor:
        """Pixels `[B, R, 3 P^2]` of all patches, from texts and the kept patches `[B, K]` of images."""
        self.require("masked_image")
        assert self.masked_image is not None
        _, patches = self.stream.co_attend(text, image, self.m3ae_shape.pixel_layer)
        pixels: Tensor = self.masked_image(patches, kept)
        return pixels

    def answer_logits(self, text: States, image: States) -> Tensor:
        """Logits `[B, A]` of the answers to questions about images."""
        self.require("answers")
        assert self.answer is not None
        logits: Tensor = self.answer(self.stream.fuse(text, image).pair)
        return logits

    def clamp_temperature(self) -> None:
        """Nothing: there is no contrastive loss."""

    def require(self, head: HeadName) -> None:
        """Say plainly that a head is not there.

        Raises:
            ConfigurationError: if it is not.
        """
        if head not in self.heads:
            raise ConfigurationError(
                f"The M3AE has no head {head!r}; it has {', '.join(self.heads) or 'none'}. Take a checkpoint that was "
                f"trained for it, or train it first."
            )
