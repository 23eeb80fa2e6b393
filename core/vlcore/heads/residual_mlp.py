"""A residual MLP projection: a linear map and a learned correction of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vlcore.heads.standardise import StandardisedHead


class ResidualMLPHead(StandardisedHead):
    """`y = LayerNorm(p + dropout(W2 GELU(W1 dropout(x))))` with the linear projection `p = P dropout(x)`.

    The linear path learns first and the MLP refines it, which is safer on small data than a plain MLP.

    Args:
        in_features: W.
        out_features: D.
        hidden_features: width of the hidden layer.
        dropout: share of the inputs and of the correction that is dropped in training.
    """

    def __init__(self, in_features: int, out_features: int, hidden_features: int = 512, dropout: float = 0.3) -> None:
        super().__init__(in_features, out_features)
        self.hidden_features = hidden_features
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(in_features, out_features)
        self.expand = nn.Linear(in_features, hidden_features)
        self.contract = nn.Linear(hidden_features, out_features)
        self.norm = nn.LayerNorm(out_features)

    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, W]` to `[B, D]`."""
        inputs = self.dropout(self.standardise(features))
        projected = self.projection(inputs)
        correction = self.contract(nn.functional.gelu(self.expand(inputs)))
        output: Tensor = self.norm(projected + self.dropout(correction))
        return output

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "hidden_features": self.hidden_features,
            "dropout": self.dropout.p,
        }
