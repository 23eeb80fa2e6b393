"""A trained decoder with its words: from the memory of a study to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vlcore.heads.task import TaskHead
from vlcore_medical.heads.report_decoder import ReportDecoder
from vlcore_medical.tasks.report_search import beam_search, greedy
from vlcore_medical.tasks.report_words import ReportWords


@dataclass(frozen=True)
class Memory:
    """What B reports are written from.

    Attributes:
        features: `[B, M, W]`: cells of an image, or words of a text.
        mask: `[B, M]` bool, True where there is memory, on the left; one place at least.
    """

    features: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.features)


class ReportWriter(TaskHead):
    """Writes reports word by word over frozen features.

    Args:
        memory_width: W of the memory.
        words: of the training reports.
        longest: the most words of a report, start and end included.
        width: of the decoder.
        layers: of the decoder.
        dropout: of the decoder.
    """

    def __init__(
        self,
        memory_width: int,
        words: Sequence[str],
        longest: int,
        *,
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.words = ReportWords(words)
        self.decoder = ReportDecoder(
            memory_width, len(self.words), longest, width=width, layers=layers, dropout=dropout
        )
        self._config = {"memory_width": memory_width, "words": list(words), "longest": longest}
        self._config |= {"width": width, "layers": layers, "dropout": dropout}

    def config(self) -> dict[str, Any]:
        """Plain values that rebuild this head without weights."""
        return dict(self._config)

    def write(self, memory: Memory, beams: int = 1) -> list[str]:
        """Reports of plain words; one beam takes the most probable word each time.

        Raises:
            ConfigurationError: if there is no beam.
        """
        if beams == 1:
            rows = greedy(self.decoder, memory.features, memory.mask)
        else:
            rows = beam_search(self.decoder, memory.features, memory.mask, beams)
        return [self.words.decode(row) for row in rows]
