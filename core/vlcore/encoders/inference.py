"""A frozen image tower at its fastest: batch norms folded into convolutions, batches that fit the processor's cache."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vlcore.encoders.base import ImageEncoder

CPU_BATCH = 16
"""Images per forward pass on a CPU: larger batches fall out of its cache (EfficientNet-Lite0 loses a third at 64)."""

TOLERANCE = 1e-3
"""Largest difference, relative to the largest feature, between the folded and the original tower."""


class ImageInference:
    """Pooled features of images without gradients; the tower itself is not changed.

    Args:
        encoder: tower in evaluation mode, on its device.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        self.device = next(encoder.parameters()).device
        self.encoder = folded(encoder) if self.device.type == "cpu" else encoder

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Encode `[B, 3, H, W]` uint8 as `[B, W]` float."""
        size = CPU_BATCH if self.device.type == "cpu" else max(1, len(images))
        parts = [self.encoder(part.to(self.device, non_blocking=True)).pooled for part in torch.split(images, size)]
        return torch.cat(parts)


def folded(encoder: ImageEncoder) -> ImageEncoder:
    """Copy of a tower whose batch norms have become part of the convolutions before them.

    Whether a norm really follows a convolution cannot be read from the modules, so the copy is compared with the
    original on noise; where they differ, the original is returned.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules()):
        return encoder
    copied = copy.deepcopy(encoder).eval()
    _fold(copied)
    copied = copied.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (2, 3, *encoder.preprocess.size), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        ours, original = copied(noise).pooled, encoder(noise).pooled
    scale = float(original.abs().max())
    return copied if float((ours - original).abs().max()) <= TOLERANCE * max(scale, 1e-12) else encoder


def _fold(module: nn.Module) -> None:
    before: nn.Module | None = None
    for name, child in list(module.named_children()):
        _fold(child)
        if (
            isinstance(child, nn.BatchNorm2d)
            and isinstance(before, nn.Conv2d)
            and before.out_channels == child.num_features
        ):
            fused = fuse_conv_bn_eval(before, child)
            before.weight, before.bias = fused.weight, fused.bias
            setattr(module, name, _what_follows(child))
        before = child


def _what_follows(norm: nn.BatchNorm2d) -> nn.Module:
    """Timm's norm layers carry dropout and activation inside."""
    inside = [getattr(norm, part) for part in ("drop", "act") if isinstance(getattr(norm, part, None), nn.Module)]
    return nn.Sequential(*inside) if inside else nn.Identity()
