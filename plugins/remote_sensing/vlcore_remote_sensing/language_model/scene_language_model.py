"""Questions about an image, answered by a language model that is given what the semantic experts see.

Source: S. Park et al., Remote Sensing Large Vision-Language Model, arXiv 2506.21863 (of which the abstract was read):
enriched tokens of every level, a projector as in LLaVA-1.5 (arXiv 2310.03744), a small instruct model with adapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.semantic_experts.expert_head import SemanticExpertHead

IGNORED = -100
"""Label of what the model is not asked to say, as transformers has it."""


class SceneLanguageModel(nn.Module):
    """Image features to words.

    An image is four tokens: its embedding, and what the expert of each level made of its concepts. They stand before
    the question, which is put into the language model's own chat form where it has one.

    Args:
        image_head: with semantic experts; it stands still.
        language_model: causal, of transformers or with adapters of peft (`load_language_model`).
        tokenizer: its tokeniser.
        hidden_features: of the projector.
    """

    def __init__(
        self, image_head: SemanticExpertHead, language_model: Any, tokenizer: Any, hidden_features: int = 1024
    ) -> None:
        super().__init__()
        self.image_head = image_head.requires_grad_(False).eval()
        self.language_model = language_model
        self.tokenizer = tokenizer
        width = int(language_model.get_input_embeddings().embedding_dim)
        self.projector = nn.Sequential(
            nn.LayerNorm(image_head.out_features),
            nn.Linear(image_head.out_features, hidden_features),
            nn.GELU(),
            nn.Linear(hidden_features, width),
        )

    def visual_tokens(self, features: Tensor) -> Tensor:
        """Rows `[B, W]` of the level encoder as tokens `[B, 1 + levels, H]` of the language model."""
        with torch.no_grad():
            found = self.image_head.enrich(features)
            states = [found.embedding, *(level.enriched for level in found.levels)]
            levels = F.normalize(torch.stack(states, dim=1), dim=-1)
        tokens: Tensor = self.projector(levels)
        return tokens

    def loss(self, features: Tensor, questions: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Mean negative log-likelihood of the answers' pieces, the end among them.

        Args:
            features: `[B, W]`.
            questions: B questions.
            answers: B answers.
        """
        logits, labels = self._read(features, questions, answers)
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)

    @torch.no_grad()
    def likelihoods(self, features: Tensor, questions: Sequence[str], candidates: Sequence[str]) -> Tensor:
        """How likely each of C answers is to each of B questions, `[B, C]`: mean log-likelihood of its pieces.

        Classification by words: the candidates are class names, and the largest value wins.
        """
        columns = []
        for candidate in candidates:
            logits, labels = self._read(features, questions, [candidate] * len(questions))
            said = labels != IGNORED
            chance = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
            columns.append((chance * said).sum(1) / said.sum(1))
        return torch.stack(columns, dim=1)

    @torch.no_grad()
    def answer(self, features: Tensor, questions: Sequence[str], most_pieces: int = 32) -> list[str]:
        """Answer B questions by the most likely next piece, until the end of text or `most_pieces`."""
        visual = self.visual_tokens(features)
        prompts = [self._pieces(self._prompt(question)) for question in questions]
        longest = max(map(len, prompts))
        # Padded on the left: what is generated follows the question at once.
        ids = torch.tensor([[self._padding] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        words = self._embed(ids.to(features.device))
        length = visual.shape[1]
        # The image goes between the padding and the question.
        embedded, seen = [], []
        for row, prompt in enumerate(prompts):
            pad = longest - len(prompt)
            embedded.append(torch.cat([words[row, :pad], visual[row].to(words.dtype), words[row, pad:]]))
            seen.append(torch.cat([mask[row, :pad], torch.ones(length, dtype=mask.dtype), mask[row, pad:]]))
        generated = self.language_model.generate(
            inputs_embeds=torch.stack(embedded),
            attention_mask=torch.stack(seen).to(features.device),
            max_new_tokens=most_pieces,
            do_sample=False,
            pad_token_id=self._padding,
            eos_token_id=self.tokenizer.eos_token_id,
        )
        return [text.strip() for text in self.tokenizer.batch_decode(generated, skip_special_tokens=True)]

    def _read(self, features: Tensor, questions: Sequence[str], answers: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits `[B, L, V]` and the piece that each should say `[B, L]`, `IGNORED` outside the answers."""
        if not len(features) == len(questions) == len(answers):
            raise ConfigurationError(
                f"There are {len(features)} images, {len(questions)} questions and {len(answers)} answers; each image "
                f"needs one of both."
            )
        visual = self.visual_tokens(features)
        prompts = [self._pieces(self._prompt(question)) for question in questions]
        said = [[*self._pieces(" " + answer, False), self.tokenizer.eos_token_id] for answer in answers]
        longest = max(len(prompt) + len(words) for prompt, words in zip(prompts, said, strict=True))
        rows, labels, mask = [], [], []
        for prompt, words in zip(prompts, said, strict=True):
            pad = longest - len(prompt) - len(words)
            rows.append([*prompt, *words, *[self._padding] * pad])
            labels.append([*[IGNORED] * (visual.shape[1] + len(prompt)), *words, *[IGNORED] * pad])
            mask.append([1] * (visual.shape[1] + len(prompt) + len(words)) + [0] * pad)
        embedded = self._embed(torch.tensor(rows, device=features.device))
        output = self.language_model(
            inputs_embeds=torch.cat([visual.to(embedded.dtype), embedded], dim=1),
            attention_mask=torch.tensor(mask, device=features.device),
        )
        # The piece at each place is said by the state before it.
        return output.logits[:, :-1], torch.tensor(labels, device=features.device)[:, 1:]

    def _prompt(self, question: str) -> str:
        if getattr(self.tokenizer, "chat_template", None):
            turns = [{"role": "user", "content": question}]
            text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            return text
        return f"Question: {question}\nAnswer:"

    def _pieces(self, text: str, begin: bool = True) -> list[int]:
        pieces: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        start = self.tokenizer.bos_token_id
        chat = bool(getattr(self.tokenizer, "chat_template", None))
        return [start, *pieces] if begin and start is not None and not chat else pieces

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.language_model.get_input_embeddings()(ids)
        return embedded

    @property
    def _padding(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def train(self, mode: bool = True) -> SceneLanguageModel:
        """Set the mode; the image head stays in evaluation mode."""
        super().train(mode)
        self.image_head.eval()
        return self
