"""A projection of every token before they are pooled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.heads.base import Head


class TokenProjectorHead(Head):
    """Mean of projected tokens and a projection of their mean (freeze-align, arXiv 2409.19425).

    With `P(x) = A x + B GELU(C x)` behind a LayerNorm and dropout, on R tokens of a `tokens/…` tower:

        y = mean_r P_token(x_r) + P_whole(mean_r x_r)

    The paper projects the class token where `P_whole` stands; the tokens here come without one. What is zero is no
    token: texts have padding.

    Args:
        in_features: R * W, tokens one after the other.
        out_features: D.
        token_width: W.
        hidden_features: of the GELU.
        dropout: of the inputs.

    Raises:
        ConfigurationError: if the features are no whole number of tokens.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        token_width: int | None = None,
        hidden_features: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if token_width is None or in_features % token_width:
            raise ConfigurationError(
                f"The head token_projector reads tokens, and the tower gives {in_features} numbers in one vector: "
                f"choose the tower's tokens, such as tokens/starter/efficientnet_lite0 or tokens/starter/minilm."
            )
        self.in_features, self.out_features, self.token_width = in_features, out_features, token_width
        self.hidden_features = hidden_features
        self.token = _Projection(token_width, out_features, hidden_features, dropout)
        self.whole = _Projection(token_width, out_features, hidden_features, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, R * W]` to `[B, D]`."""
        tokens = features.view(len(features), -1, self.token_width)
        real = (tokens != 0).any(dim=-1, keepdim=True).to(tokens.dtype)
        count = real.sum(dim=1).clamp(min=1)
        projected: Tensor = (self.token(tokens) * real).sum(dim=1) / count
        whole: Tensor = self.whole((tokens * real).sum(dim=1) / count)
        return projected + whole

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "token_width": self.token_width,
            "hidden_features": self.hidden_features,
            "dropout": self.token.dropout.p,
        }


class _Projection(nn.Module):
    def __init__(self, width: int, out_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.straight = nn.Linear(width, out_features)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, out_features)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = self.dropout(self.norm(inputs))
        curved: Tensor = self.straight(inputs) + self.contract(torch.nn.functional.gelu(self.expand(inputs)))
        return curved
