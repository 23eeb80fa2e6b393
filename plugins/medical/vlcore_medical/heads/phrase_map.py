"""Where in an image a phrase is: one logit for each cell of a frozen tower's feature map."""

from __future__ import annotations

from torch import Tensor, nn

from vlcore.heads.standardise import Standardise
from vlcore_medical.heads.film import FiLM


class PhraseMapHead(nn.Module):
    """Scores the cells of an image by a phrase.

    Args:
        cell_width: W.
        text_width: Wt.
        hidden: H, width of the joint state.
        dropout: of cells and state.
    """

    def __init__(self, cell_width: int, text_width: int, *, hidden: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.standardise_cells = Standardise(cell_width)
        self.standardise_text = Standardise(text_width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(cell_width, hidden)
        self.film = FiLM(text_width, hidden)
        self.score = nn.Linear(hidden, 1)

    def fit_statistics(self, cells: Tensor, text: Tensor) -> None:
        """Take means and scales from training cells `[I, R, W]` and text features `[N, Wt]`."""
        flat = cells.flatten(0, 1)
        self.standardise_cells.set_statistics(flat.mean(dim=0), flat.std(dim=0))
        self.standardise_text.set_statistics(text.mean(dim=0), text.std(dim=0))

    def forward(self, cells: Tensor, text: Tensor) -> Tensor:
        """Logits `[B, R]` of cells `[B, R, W]` for text features `[B, Wt]`."""
        state = self.project(self.dropout(self.standardise_cells(cells)))
        state = nn.functional.gelu(self.film(state, self.standardise_text(text)))
        logits: Tensor = self.score(self.dropout(state)).squeeze(-1)
        return logits
