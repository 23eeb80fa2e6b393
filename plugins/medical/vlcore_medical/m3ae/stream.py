"""Two streams that read each other: M3AE's fusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.models.fusion.layer import FusionLayer
from vlcore.models.fusion.stream import FusionOutput, FusionStream, States, initialise
from vlcore.models.fusion.text_embedding import TextEmbedding
from vlcore.types import VisualTokens
from vlcore_medical.m3ae.shape import M3AEShape


class CoAttentionStream(FusionStream):
    """M3AE (arXiv 2209.07098, section 3.1): a text tower, projections, and layers in which either side reads the other.

    Both sides of a layer are updated at once: words attend to what the patches were when they entered the layer, and
    patches likewise. The pair's vector is that of both first tokens, `[tanh(Wt t0); tanh(Wv v0)]`, so it has 2 D
    numbers. Images come with a token for the whole of them in front.

    Args:
        shape: sizes.
    """

    def __init__(self, shape: M3AEShape) -> None:
        # FusionStream's own constructor would build the embedding of regions, which M3AE has not.
        nn.Module.__init__(self)
        self.shape = shape.text
        self.in_features = width = shape.width
        self.text_embedding = TextEmbedding(shape.text)
        self.text_tower = nn.ModuleList(FusionLayer(shape.text) for _ in range(shape.text_layers))
        self.text_projection = nn.Linear(width, width)
        self.image_projection = nn.Linear(width, width)
        self.kind = nn.Embedding(2, width)
        layers = range(shape.fusion_layers)
        self.text_fusion = nn.ModuleList(FusionLayer(shape.fusion, reads_memory=True) for _ in layers)
        self.image_fusion = nn.ModuleList(FusionLayer(shape.fusion, reads_memory=True) for _ in layers)
        self.text_pooler = nn.Linear(width, width)
        self.image_pooler = nn.Linear(width, width)
        initialise(self)

    def read_text(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """Texts alone: ids `[B, L]` with mask `[B, L]`."""
        states, mask = super().read_text(input_ids, attention_mask)
        for layer in self.text_tower:
            states = layer(states, mask)
        return States(self.text_projection(states) + self.kind.weight[0], mask)

    def read_image(self, visual: VisualTokens, region_mask: Tensor | None = None) -> States:
        """Images alone: tokens `[B, 1 + R, D]`; `region_mask` `[B, 1 + R]` takes tokens away."""
        mask = visual.mask if region_mask is None else visual.mask & ~region_mask
        return States(self.image_projection(visual.features) + self.kind.weight[1], mask)

    def fuse(self, text: States, image: States) -> FusionOutput:
        """B texts with B images."""
        words, patches = self.co_attend(text, image, len(self.text_fusion))
        first = [torch.tanh(self.text_pooler(words[:, 0])), torch.tanh(self.image_pooler(patches[:, 0]))]
        return FusionOutput(words, patches[:, 1:], torch.cat(first, dim=-1))

    def co_attend(self, text: States, image: States, layers: int) -> tuple[Tensor, Tensor]:
        """States `[B, L, D]` of words and `[B, 1 + R, D]` of patches behind the first so many fusion layers."""
        words, patches = text.tokens, image.tokens
        for read_words, read_patches in zip(self.text_fusion[:layers], self.image_fusion[:layers], strict=True):
            words, patches = (
                read_words(words, text.mask, patches, image.mask),
                read_patches(patches, image.mask, words, text.mask),
            )
        return words, patches

    def text_layers(self) -> list[nn.Module]:
        """The text tower's."""
        return list(self.text_tower)
