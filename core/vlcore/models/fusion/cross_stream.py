"""Two streams, then one: words are read alone first, then look at the image."""

from __future__ import annotations

from torch import Tensor, nn

from vlcore.models.fusion.layer import FusionLayer
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.stream import FusionOutput, FusionStream, States, initialise


class CrossStream(FusionStream):
    """ALBEF (arXiv 2107.07651): a text encoder, an image encoder, and layers in which words attend to the image.

    Half of the layers read the text alone; what they and the image tower make of the two sides can be aligned by a
    contrastive loss before they are fused. The pair's vector is the state of the text's first token.

    Args:
        in_features: W of the visual tokens.
        shape: sizes; `layers` counts those of the text and of the fusion.
    """

    def __init__(self, in_features: int, shape: FusionShape) -> None:
        super().__init__(in_features, shape)
        alone = shape.layers // 2
        self.text_only = nn.ModuleList(FusionLayer(shape) for _ in range(alone))
        self.layers = nn.ModuleList(FusionLayer(shape, reads_memory=True) for _ in range(shape.layers - alone))
        initialise(self)

    def read_text(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """Texts alone: ids `[B, L]` with mask `[B, L]`."""
        states, mask = super().read_text(input_ids, attention_mask)
        for layer in self.text_only:
            states = layer(states, mask)
        return States(states, mask)

    def fuse(self, text: States, image: States) -> FusionOutput:
        """B texts with B images; an image's states are read and stay what they are."""
        states = text.tokens
        for layer in self.layers:
            states = layer(states, text.mask, image.tokens, image.mask)
        return FusionOutput(states, image.tokens[:, 1:], states[:, 0])

    def text_layers(self) -> list[nn.Module]:
        """The text's, then the fusion's."""
        return [*self.text_only, *self.layers]
