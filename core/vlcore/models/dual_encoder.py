"""Two towers and two heads that embed images and texts into one space."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vlcore.encoders.base import DualTowers, Encoder, ImageEncoder, TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.heads.base import Head
from vlcore.heads.identity import IdentityHead
from vlcore.types import DualEncoderOutput, PairBatch

LARGEST_LOGIT_SCALE = 100.0
"""Where CLIP (arXiv 2103.00020, section 2.5) stops the temperature; beyond it training becomes unstable."""


class DualEncoder(nn.Module):
    """Embeds images and texts as unit vectors whose cosine says how well they fit.

    Args:
        image_encoder: image tower.
        text_encoder: text tower.
        image_head: from the image tower's width to D.
        text_head: from the text tower's width to D.
        logit_scale: what cosines are multiplied with at the start; learned as its logarithm.
        logit_bias: what is added to the logits at the start, learned; None for objectives without a bias.

    Attributes:
        logit_scale: `[1]` parameter, the LOGARITHM of the scale; `DualEncoderOutput.logit_scale` is exponentiated.
        logit_bias: `[1]` parameter, or None.

    Raises:
        ConfigurationError: if the parts do not fit together.
    """

    logit_bias: nn.Parameter | None

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        image_head: Head,
        text_head: Head,
        logit_scale: float = 1 / 0.07,
        logit_bias: float | None = None,
    ) -> None:
        super().__init__()
        _check_fit("image", image_encoder, image_head)
        _check_fit("text", text_encoder, text_head)
        if image_head.out_features != text_head.out_features:
            raise ConfigurationError(
                f"The image head gives {image_head.out_features} numbers and the text head {text_head.out_features}: "
                f"give both the same out_features."
            )
        if not (math.isfinite(logit_scale) and logit_scale > 0):
            raise ConfigurationError(f"logit_scale={logit_scale}: choose a number above 0, such as 1 / 0.07.")
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.image_head = image_head
        self.text_head = text_head
        # One number each, but in a vector: FSDP cannot shard parameters without a dimension.
        self.logit_scale = nn.Parameter(torch.tensor([math.log(logit_scale)]))
        self.logit_bias = None if logit_bias is None else nn.Parameter(torch.tensor([float(logit_bias)]))
        # Ready SigLIP checkpoints come with scales above 100; pulling those down would change the model.
        self._largest_log_scale = math.log(max(LARGEST_LOGIT_SCALE, logit_scale))

    @classmethod
    def from_towers(cls, towers: DualTowers) -> DualEncoder:
        """Wrap towers that were trained together, such as CLIP or SigLIP, with their own temperature and bias."""
        return cls(
            towers.image,
            towers.text,
            IdentityHead(towers.image.width),
            IdentityHead(towers.text.width),
            logit_scale=towers.logit_scale,
            logit_bias=towers.logit_bias,
        )

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.image_head.out_features

    def encode_images(self, images: Tensor) -> Tensor:
        """Embed images `[B, 3, H, W]` uint8 as `[B, D]` unit norm."""
        return self.project_images(self.image_features(images))

    def encode_texts(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed ids `[B, L]` with mask `[B, L]` as `[B, D]` unit norm."""
        return self.project_texts(self.text_features(input_ids, attention_mask))

    def image_features(self, images: Tensor) -> Tensor:
        """Pooled features `[B, Wi]` of images `[B, 3, H, W]` uint8; a frozen tower builds no graph."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.image_encoder.frozen):
            pooled: Tensor = self.image_encoder(images).pooled
        return pooled

    def text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled features `[B, Wt]` of ids `[B, L]` with mask `[B, L]`; a frozen tower builds no graph."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.text_encoder.frozen):
            pooled = self.text_encoder.pool(input_ids, attention_mask)
        return pooled

    def project_images(self, features: Tensor) -> Tensor:
        """Project pooled features `[B, Wi]` to `[B, D]` unit norm."""
        return _project(self.image_head, features)

    def project_texts(self, features: Tensor) -> Tensor:
        """Project pooled features `[B, Wt]` to `[B, D]` unit norm."""
        return _project(self.text_head, features)

    def forward(self, batch: PairBatch) -> DualEncoderOutput:
        """Embed a batch; a side with cached features skips its tower.

        Raises:
            ConfigurationError: if a side has neither input nor features, or has cached features of a tower that
                learns.
        """
        return self.output(self.project_images(self._image_side(batch)), self.project_texts(self._text_side(batch)))

    def output(self, image: Tensor, text: Tensor) -> DualEncoderOutput:
        """Put embeddings `[B, D]` together with the scale and the bias."""
        return DualEncoderOutput(
            image=image,
            text=text,
            logit_scale=self.logit_scale.exp().squeeze(0),
            logit_bias=None if self.logit_bias is None else self.logit_bias.squeeze(0),
        )

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Hold the scale at 100 or below (or at what it started with, if higher); call after each optimiser step."""
        self.logit_scale.clamp_(max=self._largest_log_scale)

    def config(self) -> dict[str, Any]:
        """Constructor arguments besides the parts, plain values."""
        return {
            "logit_scale": float(self.logit_scale.detach().exp()),
            "logit_bias": None if self.logit_bias is None else float(self.logit_bias.detach()),
        }

    def _image_side(self, batch: PairBatch) -> Tensor:
        if batch.image_features is not None:
            _check_cache("image", self.image_encoder)
            return batch.image_features
        if batch.images is None:
            raise ConfigurationError("The batch has neither images nor image_features: one of them is needed.")
        return self.image_features(batch.images)

    def _text_side(self, batch: PairBatch) -> Tensor:
        if batch.text_features is not None:
            _check_cache("text", self.text_encoder)
            return batch.text_features
        if batch.input_ids is None or batch.attention_mask is None:
            raise ConfigurationError(
                "The batch has neither input_ids with attention_mask nor text_features: one of them is needed."
            )
        return self.text_features(batch.input_ids, batch.attention_mask)


def _project(head: Head, features: Tensor) -> Tensor:
    # In use, projections are cheap beside the towers, and half precision would cost three digits of the cosine: only
    # training runs heads under autocast. Without it the head's own type decides, whatever the tower's or cache's is.
    device = features.device.type
    with torch.autocast(device, enabled=torch.is_autocast_enabled(device) and head.training):
        if not torch.is_autocast_enabled(device):
            features = features.to(next((parameter.dtype for parameter in head.parameters()), features.dtype))
        projected: Tensor = head(features)
    full = projected if projected.dtype == torch.float64 else projected.float()
    return nn.functional.normalize(full, dim=-1)


def _check_fit(side: str, encoder: Encoder, head: Head) -> None:
    if head.in_features != encoder.width:
        raise ConfigurationError(
            f"The {side} head takes {head.in_features} numbers but the tower {encoder.source} gives {encoder.width}: "
            f"build the head with in_features={encoder.width}."
        )


def _check_cache(side: str, encoder: Encoder) -> None:
    if not encoder.frozen:
        raise ConfigurationError(
            f"The batch has cached {side} features, but {encoder.source} learns (trainable={encoder.trainable!r}), so "
            f"they are out of date. Freeze the tower, or train it without the feature cache."
        )
