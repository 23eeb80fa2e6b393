"""CheXbert, a labeller of chest X-ray reports, from a local copy of its weights.

Source: A. Smit et al., CheXbert, arXiv 2004.09167: a BERT whose first state goes into one linear layer per label, of
four classes (not mentioned, positive, negative, uncertain), and of two for `No Finding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.encoders.weights import load_strict, read_weights
from vlcore.errors import EvaluationError, ModelDirectoryError
from vlcore.retrieval.precision import best_device
from vlcore_medical.reports.assertion import Status
from vlcore_medical.reports.findings import CHEXPERT, NO_FINDING

_STATUS: tuple[Status, ...] = ("not mentioned", "positive", "negative", "uncertain")
_NO_FINDING: tuple[Status, ...] = ("not mentioned", "positive")
_BUFFER = "bert.embeddings.position_ids"
"""Kept by old versions of transformers; it holds 0, 1, 2, …"""


class CheXbert:
    """Reads reports; give `read` to `finding_f1`.

    Args:
        bert: BERT without heads.
        heads: one per label of `CHEXPERT`, then that of `No Finding`.
        tokenizer: of the BERT.
        batch_size: reports per forward pass.
        device: chosen if left out.
    """

    def __init__(
        self,
        bert: nn.Module,
        heads: nn.ModuleList,
        tokenizer: Any,
        *,
        batch_size: int = 64,
        device: str | torch.device | None = None,
    ) -> None:
        self.device = best_device() if device is None else torch.device(device)
        self.bert, self.heads = bert.to(self.device).eval(), heads.to(self.device).eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size

    @classmethod
    def load(cls, checkpoint: Path, bert: Path, device: str | torch.device | None = None) -> CheXbert:
        """Load the released weights, offline, without running what is in them.

        Args:
            checkpoint: `chexbert.pth`.
            bert: folder with config and tokeniser of bert-base-uncased; its weights are not needed.
            device: chosen if left out.

        Raises:
            ModelDirectoryError: if a file is missing or damaged, or a tensor is missing, left over or of another shape.
        """
        from transformers import AutoConfig, AutoTokenizer, BertModel

        if not checkpoint.is_file():
            raise ModelDirectoryError(f"There is no file {checkpoint}. Give the weights of CheXbert, chexbert.pth.")
        try:
            config = AutoConfig.from_pretrained(bert, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(bert, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelDirectoryError(f"{bert} is no folder with config and tokeniser of a BERT: {error}") from error
        model = nn.ModuleDict({"bert": BertModel(config)})
        classes = [len(_STATUS)] * len(CHEXPERT) + [len(_NO_FINDING)]
        model["linear_heads"] = nn.ModuleList(nn.Linear(config.hidden_size, size) for size in classes)
        tensors = {name.removeprefix("module."): tensor for name, tensor in read_weights([checkpoint]).items()}
        tensors.pop(_BUFFER, None)
        load_strict(model, tensors, checkpoint)
        heads = model["linear_heads"]
        assert isinstance(heads, nn.ModuleList)
        return cls(model["bert"], heads, tokenizer, device=device)

    @torch.inference_mode()
    def read(self, reports: Sequence[str]) -> list[Mapping[str, Status]]:
        """Status of the labels of `CHEXPERT` and of `No Finding` in each report."""
        told: list[Mapping[str, Status]] = []
        for states in self._states(reports):
            columns = [head(states).argmax(dim=1).tolist() for head in self.heads]
            for row in zip(*columns, strict=True):
                status = {name: _STATUS[place] for name, place in zip(CHEXPERT, row[:-1], strict=True)}
                told.append({**status, NO_FINDING: _NO_FINDING[row[-1]]})
        return told

    def embed(self, reports: Sequence[str]) -> NDArray[np.float32]:
        """The first state of each report, `[N, H]`."""
        rows: NDArray[np.float32] = torch.cat([states.float().cpu() for states in self._states(reports)]).numpy()
        return rows

    def similarity(self, candidates: Sequence[str], references: Sequence[str]) -> float:
        """Mean cosine of reports with their references.

        Raises:
            EvaluationError: if there is nothing to score or the numbers differ.
        """
        if not candidates or len(candidates) != len(references):
            raise EvaluationError(
                f"CheXbert's cosine needs as many reports as references; got {len(candidates)} and {len(references)}."
            )
        told, meant = self.embed(candidates), self.embed(references)
        norms = np.linalg.norm(told, axis=1) * np.linalg.norm(meant, axis=1)
        return float(((told * meant).sum(axis=1) / np.maximum(norms, 1e-12)).mean())

    @torch.inference_mode()
    def _states(self, reports: Sequence[str]) -> list[Tensor]:
        """First states `[B, H]` of each batch."""
        parts = []
        plain = [" ".join(report.split()) for report in reports]
        for start in range(0, len(plain), self.batch_size):
            batch = self.tokenizer(
                plain[start : start + self.batch_size],
                padding=True,
                truncation=True,
                max_length=512,
                return_tensors="pt",
            ).to(self.device)
            parts.append(self.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state[:, 0])
        return parts
