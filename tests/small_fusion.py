"""An image tower of four patches, and fusion models on it; registered as `small/patches`."""

from __future__ import annotations

import torch
from torch import nn

from vlcore.encoders.base import ImageEncoder
from vlcore.models.fusion.model import FusionModel
from vlcore.plugins import registries
from vlcore.tasks.fusion.build import build_fusion_model
from vlcore.types import EncoderOutput, ImagePreprocess

PREPROCESS = ImagePreprocess(size=(8, 8), resize="squash")


class SmallPatchEncoder(ImageEncoder):
    """Mean colours of the four quarters of an image."""

    def __init__(self, preprocess=PREPROCESS):
        super().__init__()
        self.width, self.preprocess = 6, preprocess
        self.source, self.licence = "small/patches", "CC0"
        self.project = nn.Linear(3, 6)

    def blocks(self):
        return [self.project]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls(preprocess)

    def encode(self, pixels):
        tokens = self.project(nn.functional.adaptive_avg_pool2d(pixels, 2).flatten(2).transpose(1, 2))
        return EncoderOutput(tokens, tokens.mean(1))


def build_patches(argument, trainable="none"):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = SmallPatchEncoder()
    encoder.set_trainable(trainable)
    return encoder.eval()


def register(monkeypatch) -> None:
    """Make the tower known by its name, and let model directories name its class."""
    found = registries().image_encoders
    if "small/patches" not in found:
        found.register("small/patches", build_patches)
    monkeypatch.setattr("vlcore.encoders._plugin_packages", lambda: {"small_fusion"})
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "small_fusion"})


def small_fusion_model(bert, architecture="cross_stream", **options) -> FusionModel:
    """A random fusion model whose weights are large enough to tell pairs apart."""
    torch.manual_seed(0)
    sizes = {"size": "tiny", "dropout": 0.0}
    model = build_fusion_model(architecture, "small/patches", f"transformers/{bert}", **sizes, **options)
    for parameter in model.network.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.3)
    return model.eval()
