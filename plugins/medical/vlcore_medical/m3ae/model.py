"""An M3AE whole: image tower, text tower and fusion."""

from __future__ import annotations

from torch import Tensor, nn

from vlcore.encoders.base import TextTokenizer
from vlcore.errors import ConfigurationError
from vlcore.models.fusion.model import FusionModel, FusionTexts
from vlcore.models.fusion.stream import States
from vlcore.types import PairBatch
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder, all_visible
from vlcore_medical.m3ae.network import M3AENetwork


class M3AEModel(FusionModel):
    """Reads images and texts together (arXiv 2209.07098); usable wherever a fusion model is, as for re-ranking.

    Args:
        image_encoder: CLIP's.
        tokenizer: of the texts.
        network: reads the two.

    Raises:
        ConfigurationError: if image tower, tokeniser and network do not fit together.
    """

    image_encoder: ClipImageEncoder  # type: ignore[assignment]
    network: M3AENetwork

    def __init__(self, image_encoder: ClipImageEncoder, tokenizer: TextTokenizer, network: M3AENetwork) -> None:
        nn.Module.__init__(self)
        shape = network.m3ae_shape
        if (image_encoder.token_width, image_encoder.tokens) != (shape.width, 1 + shape.patches):
            raise ConfigurationError(
                f"The image tower gives {image_encoder.tokens} tokens of {image_encoder.token_width} numbers; the "
                f"network reads {1 + shape.patches} of {shape.width}."
            )
        if tokenizer.largest_id >= shape.vocabulary or tokenizer.context_length > shape.positions:
            raise ConfigurationError(
                f"The tokeniser has ids up to {tokenizer.largest_id} and texts of up to {tokenizer.context_length} "
                f"tokens; the network reads ids below {shape.vocabulary} and {shape.positions} tokens."
            )
        self.image_encoder = image_encoder
        self.text_encoder = FusionTexts(tokenizer)
        self.network = network

    def read_kept(self, images: Tensor, kept: Tensor) -> States:
        """Images `[B, 3, S, S]` uint8 alone, as if they had no patches but those numbered `[B, K]`."""
        pixels = self.image_encoder.normalise(images)
        return self.network.stream.read_image(all_visible(self.image_encoder.read(pixels, kept)))

    def answer(self, batch: PairBatch) -> Tensor:
        """Logits `[B, A]` of the answers to a batch's questions."""
        assert batch.input_ids is not None and batch.attention_mask is not None
        text = self.network.stream.read_text(batch.input_ids, batch.attention_mask)
        return self.network.answer_logits(text, self.read_images(batch))
