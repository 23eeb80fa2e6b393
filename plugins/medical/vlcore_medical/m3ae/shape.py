"""How large an M3AE is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vlcore.errors import ConfigurationError
from vlcore.models.fusion.shape import FusionShape

SizeName = Literal["tiny", "small", "base"]


@dataclass(frozen=True)
class M3AEShape:
    """Sizes of an M3AE; the defaults are those of the paper (arXiv 2209.07098, section 3.1).

    Attributes:
        vocabulary: V, word pieces.
        image_size: pixels of a side.
        patch: pixels of a patch's side; there are R = (image_size / patch)^2 patches.
        width: D of the image tower, the text tower and the fusion.
        heads: of every attention besides the pixel decoder's.
        intermediate: hidden width of feed-forward layers.
        image_layers: of the image tower; the released code builds one fewer than CLIP has (`Defect`).
        text_layers: of the text tower.
        fusion_layers: of each side, with attention to the other.
        pixel_layer: fusion layers that an image has passed when its hidden pixels are guessed.
        decoder_width: of the pixel decoder.
        decoder_layers: likewise.
        decoder_heads: likewise.
        positions: the most tokens of a text.
        dropout: of texts and fusion, while training; the image tower has none.
        text_norm_epsilon: added to variances in the text tower: RoBERTa's.
        fusion_norm_epsilon: in fusion and word decoder: what transformers 4.6 sets where nothing is said.

    Raises:
        ConfigurationError: if sizes do not fit together.
    """

    vocabulary: int
    image_size: int = 288
    patch: int = 16
    width: int = 768
    heads: int = 12
    intermediate: int = 3072
    image_layers: int = 12
    text_layers: int = 12
    fusion_layers: int = 6
    pixel_layer: int = 3
    decoder_width: int = 384
    decoder_layers: int = 4
    decoder_heads: int = 6
    positions: int = 512
    dropout: float = 0.1
    text_norm_epsilon: float = 1e-5
    fusion_norm_epsilon: float = 1e-12

    def __post_init__(self) -> None:
        if self.image_size % self.patch or self.image_size < 2 * self.patch:
            raise ConfigurationError(
                f"image_size={self.image_size}: choose a multiple of patch={self.patch}, at least two of them."
            )
        if not 1 <= self.pixel_layer <= self.fusion_layers:
            raise ConfigurationError(
                f"pixel_layer={self.pixel_layer}: there are fusion_layers={self.fusion_layers}; choose 1 to that."
            )
        # Half of the decoder's positions are of rows, half of columns, each of sines and cosines.
        if self.decoder_width % 4 or self.decoder_width % self.decoder_heads:
            raise ConfigurationError(
                f"decoder_width={self.decoder_width}: choose a multiple of 4 and of decoder_heads={self.decoder_heads}."
            )

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch

    @property
    def patches(self) -> int:
        """R."""
        return self.grid**2

    @property
    def text(self) -> FusionShape:
        """Sizes of the text tower."""
        return self._layers(self.text_layers, self.text_norm_epsilon)

    @property
    def fusion(self) -> FusionShape:
        """Sizes of the fusion."""
        return self._layers(self.fusion_layers, self.fusion_norm_epsilon)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def _layers(self, layers: int, epsilon: float) -> FusionShape:
        return FusionShape(
            vocabulary=self.vocabulary,
            width=self.width,
            layers=layers,
            heads=self.heads,
            intermediate=self.intermediate,
            positions=self.positions,
            dropout=self.dropout,
            norm_epsilon=epsilon,
        )


SIZES: dict[SizeName, dict[str, int]] = {
    "tiny": {
        **{"image_size": 64, "width": 64, "heads": 4, "intermediate": 128, "image_layers": 2, "text_layers": 2},
        **{"fusion_layers": 2, "pixel_layer": 1, "decoder_width": 32, "decoder_layers": 1, "decoder_heads": 2},
    },
    "small": {
        **{"image_size": 128, "width": 384, "heads": 12, "intermediate": 1536, "image_layers": 6, "text_layers": 6},
        **{"fusion_layers": 4, "pixel_layer": 2, "decoder_width": 192, "decoder_layers": 2, "decoder_heads": 6},
    },
    "base": {},
}
"""`base` is that of the paper: CLIP's ViT-B/16, RoBERTa-base, and six fusion layers. `small` has the width of MiniLM
and can begin with its weights."""
