"""How large a fusion encoder is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vlcore.errors import ConfigurationError

SizeName = Literal["tiny", "small", "base"]


@dataclass(frozen=True)
class FusionShape:
    """Sizes of a BERT-like encoder.

    Attributes:
        vocabulary: word pieces.
        width: D.
        layers: of the whole encoder, however it is divided.
        heads: of every attention.
        intermediate: hidden width of the feed-forward layers.
        positions: the most tokens of a text.
        dropout: of embeddings, attention and feed-forward layers.
        norm_epsilon: added to variances.

    Raises:
        ConfigurationError: if the width cannot be divided among the heads, or there are fewer than two layers.
    """

    vocabulary: int
    width: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    positions: int = 512
    dropout: float = 0.1
    norm_epsilon: float = 1e-12

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigurationError(f"width={self.width} cannot be divided among heads={self.heads}.")
        if self.layers < 2:
            raise ConfigurationError(f"layers={self.layers}: a fusion encoder is divided, so it needs at least 2.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


SIZES: dict[SizeName, dict[str, int]] = {
    "tiny": {"width": 64, "layers": 2, "heads": 4, "intermediate": 128},
    "small": {"width": 384, "layers": 6, "heads": 6, "intermediate": 1536},
    "base": {"width": 768, "layers": 12, "heads": 12, "intermediate": 3072},
}
"""`base` is that of BERT (arXiv 1810.04805), ALBEF, UNITER and InterBERT."""
