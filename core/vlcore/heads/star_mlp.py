"""The StarMLP head of SAIL: two wide projections multiplied element by element."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vlcore.heads.standardise import StandardisedHead

ACTIVATION_LIMIT = 1e3
"""Both wide projections are held within +-1e3 (SAIL), so that gated values (up to 6e3) fit half precision."""


class StarMLPHead(StandardisedHead):
    """`y = W3 (ReLU6(W1 x) * W2 x)` behind a LayerNorm (SAIL, arXiv 2412.04616).

    Args:
        in_features: W.
        out_features: D.
        expansion: width of the hidden layer in multiples of W.
    """

    def __init__(self, in_features: int, out_features: int, expansion: int = 8) -> None:
        super().__init__(in_features, out_features)
        self.expansion = expansion
        hidden = expansion * in_features
        self.norm = nn.LayerNorm(in_features)
        self.gate = nn.Linear(in_features, hidden)
        self.value = nn.Linear(in_features, hidden)
        self.projection = nn.Linear(hidden, out_features)
        for layer in (self.gate, self.value, self.projection):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Project `[B, W]` to `[B, D]`."""
        normalised = self.norm(self.standardise(features))
        gate = nn.functional.relu6(self.gate(normalised))
        # ReLU6 already bounds the gate; only the value needs the limit.
        value = self.value(normalised).clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        projected: Tensor = self.projection(gate * value)
        return projected

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "expansion": self.expansion,
        }
