"""A head that answers a question about an image by choosing from the answers of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.heads.standardise import Standardise
from vlcore.heads.task import TaskHead
from vlcore_medical.heads.principal_components import PrincipalComponents

Fusion = Literal["none", "product", "bilinear", "film"]
"""How the image enters: not at all (the blind floor), by a gated product, by its sum over factors, or by FiLM."""

FUSIONS: tuple[Fusion, ...] = ("none", "product", "bilinear", "film")
_FACTORS = 4


class AnswerHead(TaskHead):
    """Scores A answers from the pooled features of an image and of a question.

    The image is a correction that is added to what the question alone says, so that a head which learns nothing from
    images is as good as the blind one. An answer is scored by a column of its own, which frequent answers learn, and
    by its text feature, which rare answers share with like ones.

    `product` is the gated fusion of Kim et al. (arXiv 1610.04325), `bilinear` sums it over factors as MFB does
    (arXiv 1708.01471), `film` scales and shifts the image by the question (arXiv 1709.07871).

    Args:
        image_width: Wi.
        question_width: Wq.
        vocabulary: A answers.
        answer_features: `[A, Wa]` text features of the answers, of unit norm.
        fusion: how the image enters.
        components: of the image features that are kept.
        hidden: H, width of the joint state.
        dropout: of question features and joint state.

    Raises:
        ConfigurationError: if there is no such fusion, or not a feature for each answer.
    """

    answer_features: Tensor

    def __init__(
        self,
        image_width: int,
        question_width: int,
        vocabulary: Sequence[str],
        answer_features: Tensor,
        *,
        fusion: Fusion = "product",
        components: int = 16,
        hidden: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ConfigurationError(f"fusion={fusion!r}: choose one of {', '.join(FUSIONS)}.")
        if len(vocabulary) != len(answer_features):
            raise ConfigurationError(
                f"{len(vocabulary)} answers do not fit {len(answer_features)} features of answers."
            )
        self.fusion: Fusion = fusion
        self.vocabulary = list(vocabulary)
        self._widths = {"image_width": image_width, "question_width": question_width}
        self._settings = {"components": components, "hidden": hidden, "dropout": dropout}
        self.standardise = Standardise(question_width)
        self.question = nn.Linear(question_width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(hidden, len(answer_features))
        self.embed = nn.Linear(hidden, answer_features.shape[1])
        self.register_buffer("answer_features", answer_features)
        if fusion != "none":
            self.image = PrincipalComponents(image_width, components)
            width = hidden * (_FACTORS if fusion == "bilinear" else 1)
            self.image_projection = nn.Linear(components, width)
            self.gate = nn.Linear(question_width, 2 * hidden if fusion == "film" else width)
            self.correct = nn.Linear(hidden, hidden)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AnswerHead:
        """Build the head with untrained weights from what `config()` returned."""
        arguments = dict(config)
        features = torch.zeros(len(arguments["vocabulary"]), arguments.pop("answer_width"))
        return cls(answer_features=features, **arguments)

    def config(self) -> dict[str, Any]:
        """Plain values that rebuild this head without weights."""
        width = self.answer_features.shape[1]
        return {
            **self._widths,
            "vocabulary": self.vocabulary,
            "answer_width": width,
            "fusion": self.fusion,
            **self._settings,
        }

    @torch.inference_mode()
    def predict(self, image: Tensor, question: Tensor) -> list[str]:
        """The most probable answer to each of B questions, from pooled features `[B, Wi]` and `[B, Wq]`."""
        return [self.vocabulary[place] for place in self(image, question).argmax(1).tolist()]

    def fit_statistics(self, image: Tensor, question: Tensor) -> None:
        """Take means, scales and components from training features `[N, Wi]` and `[M, Wq]`."""
        self.standardise.set_statistics(question.mean(dim=0), question.std(dim=0))
        if self.fusion != "none":
            self.image.fit(image)

    def forward(self, image: Tensor, question: Tensor) -> Tensor:
        """Logits `[B, A]` from pooled features `[B, Wi]` and `[B, Wq]`."""
        question = self.dropout(self.standardise(question))
        state = nn.functional.gelu(self.question(question))
        if self.fusion != "none":
            state = state + self.correct(self._fused(image, question))
        state = self.dropout(state)
        logits: Tensor = self.classify(state) + self.embed(state) @ self.answer_features.T
        return logits

    def _fused(self, image: Tensor, question: Tensor) -> Tensor:
        """Joint state `[B, H]`."""
        seen, asked = self.image_projection(self.image(image)), self.gate(question)
        if self.fusion == "film":
            scale, shift = asked.chunk(2, dim=-1)
            return nn.functional.gelu(seen * (1 + scale) + shift)
        product: Tensor = seen.tanh() * asked.tanh()
        if self.fusion == "bilinear":
            product = product.view(len(product), -1, _FACTORS).sum(dim=-1)
        return product
